//! Real schemas through the whole system by HTTP: each is loaded into an engine of its own process, connected as the
//! user that the generated script makes, discovered and compared with what the engine counts. Then a read is bound
//! for every table that an index can serve, published, and called with a value that stands in the table.
//!
//! `eval_schemas DIR` takes DIR/postgresql/*.sql and DIR/mysql/*.sql.

mod evaluate;
mod values;

use evaluate::{Evaluation, evaluate};
use events::IntegrationKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tests::engines::engine;
use tests::site::Site;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: eval_schemas DIR");
        return ExitCode::from(2);
    };
    let files = files(&folder);
    if files.is_empty() {
        eprintln!("eval_schemas: {} holds no postgresql/*.sql and no mysql/*.sql", folder.display());
        return ExitCode::from(2);
    }
    // One key makes all calls, so its rate limit is lifted.
    let rates = [("BINDERY_RATE_PER_KEY", "1000000"), ("BINDERY_RATE_PER_ORGANIZATION", "1000000")];
    let site = Site::start_with(&rates).await;
    println!(
        "{:<30} {:>7} {:>7} {:>5} {:>7} {:>5} {:>5} {:>9} {:>6} {:>10} {:>8}",
        "schema",
        "objects",
        "columns",
        "keys",
        "indexed",
        "reads",
        "ok",
        "not_found",
        "failed",
        "discover s",
        "all s"
    );
    let mut failures = 0;
    for (kind, file) in files {
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let done = evaluate(&site, engine(kind), &name, &file).await;
        failures += report(&format!("{kind}/{name}"), done);
    }
    if failures > 0 {
        eprintln!("eval_schemas: {failures} things are not as they should be, see above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn files(folder: &Path) -> Vec<(IntegrationKind, PathBuf)> {
    let mut files = Vec::new();
    for (kind, below) in [(IntegrationKind::Postgres, "postgresql"), (IntegrationKind::Mysql, "mysql")] {
        let Ok(entries) = std::fs::read_dir(folder.join(below)) else { continue };
        let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        found.sort();
        files.extend(found.into_iter().map(|path| (kind, path)));
    }
    files
}

/// Prints one schema's line and what is wrong with it; the number of things that are wrong.
fn report(schema: &str, done: Result<Evaluation, String>) -> usize {
    let done = match done {
        Ok(done) => done,
        Err(reason) => {
            println!("{schema:<30} {reason}");
            return 1;
        }
    };
    let [objects, columns, keys, indexed] = done.found;
    println!(
        "{schema:<30} {objects:>7} {columns:>7} {keys:>5} {indexed:>7} {:>5} {:>5} {:>9} {:>6} {:>10.2} {:>8.1}",
        done.reads,
        done.ok,
        done.not_found,
        done.failed.len(),
        done.discovery.as_secs_f64(),
        done.whole.as_secs_f64()
    );
    let counted = done.found != done.counted;
    if counted {
        println!("    the engine counts {:?}", done.counted);
    }
    for failed in &done.failed {
        println!("    {failed}");
    }
    if !done.unbindable.is_empty() {
        println!("    indexed by types that cannot be bound: {}", done.unbindable.join(", "));
    }
    usize::from(counted) + done.failed.len()
}
