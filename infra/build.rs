//! Names the code that folds: documents that other code folded are not trusted, and nobody has to count a version up.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut sources = BTreeMap::new();
    for folder in ["events/src", "domain/src"] {
        let path = here.join("..").join(folder);
        println!("cargo::rerun-if-changed={}", path.display());
        collect(&path, folder, &mut sources);
    }
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    println!("cargo::rustc-env=BINDERY_FOLD_FINGERPRINT={:016x}", hasher.finish());
}

fn collect(folder: &Path, name: &str, sources: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("the package is there") {
        let entry = entry.expect("an entry");
        let name = format!("{name}/{}", entry.file_name().display());
        if entry.file_type().expect("a type").is_dir() {
            collect(&entry.path(), &name, sources);
        } else {
            sources.insert(name, fs::read(entry.path()).expect("a source"));
        }
    }
}
