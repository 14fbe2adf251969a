//! Programs of ours, as cargo built them beside the running one.

use std::path::{Path, PathBuf};

/// The program of this name. cargo does not build another package's binary for a test; what is there must not be older
/// than its source.
///
/// # Panics
/// With `how` to build it, when it is missing or old.
pub fn program(name: &str, how: &str) -> PathBuf {
    let running = std::env::current_exe().expect("the path of this program");
    let folder = running.parent().expect("a file is in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().expect("target/PROFILE") } else { folder };
    let program = folder.join(name);
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified());
    let built = modified(&program).unwrap_or_else(|_| panic!("{} is missing; {how}", program.display()));
    let sources =
        std::fs::read_to_string(program.with_extension("d")).expect("cargo writes it beside the program");
    let (_, sources) = sources.split_once(": ").expect("PROGRAM: SOURCE …");
    for source in sources.split_whitespace().map(Path::new) {
        let is_older = modified(source).is_ok_and(|changed| changed > built);
        assert!(!is_older, "{} is older than {}; {how}", program.display(), source.display());
    }
    program
}
