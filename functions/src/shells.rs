//! Every function has a shell of its own, and every shell a function.

use crate::{endpoints, reactions};
use std::collections::BTreeSet;
use std::path::Path;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    let path = Path::new(CRATE).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn functions() -> BTreeSet<&'static str> {
    let endpoints = endpoints::ALL.iter().map(|endpoint| endpoint.name);
    endpoints.chain(reactions::ALL.iter().map(|reaction| reaction.name)).collect()
}

#[test]
fn every_endpoint_and_every_reaction_has_a_shell_and_nothing_else_has_one() {
    let folder = std::fs::read_dir(Path::new(CRATE).join("src/bin")).expect("a folder");
    let mut shells: BTreeSet<String> = folder
        .map(|file| file.expect("a file").file_name().into_string().expect("its name is text"))
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    for program in ["bindery", "lambda"] {
        assert!(shells.remove(program), "{program} is missing");
    }
    let functions: BTreeSet<String> = functions().into_iter().map(str::to_owned).collect();
    assert_eq!(shells, functions, "left: functions/src/bin; right: the lists of endpoints and reactions");
}

#[test]
fn every_shell_serves_what_it_is_named_after() {
    for name in functions() {
        let shell = read(&format!("src/bin/{name}.rs"));
        let served = shell.split_once("(&functions::").expect("a shell names what it serves").1;
        let (module, _) = served.rsplit_once("::").expect("a path");
        let declared = read(&format!("src/{}.rs", module.replace("::", "/")));
        assert!(declared.contains(&format!("name: \"{name}\",")), "{name} serves {module}");
    }
}

#[test]
fn no_binary_is_linked_for_the_tests_of_the_library() {
    let manifest = read("Cargo.toml");
    for name in functions().into_iter().chain(["lambda"]) {
        let line = format!("{{ name = \"{name}\", test = false, required-features = [\"aws\"] }},");
        assert!(manifest.contains(&line), "functions/Cargo.toml lacks {line}");
    }
}

#[test]
fn names_of_functions_are_their_own_and_short_enough_for_the_platform() {
    assert_eq!(functions().len(), endpoints::ALL.len() + reactions::ALL.len());
    // 64 characters, of which the deployment's name and stage take some.
    for name in functions() {
        assert!(name.len() <= 32 && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')), "{name}");
    }
}
