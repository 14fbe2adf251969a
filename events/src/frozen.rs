//! What has shipped stays readable: frozen samples decode, and the committed schemas are today's shapes.

use crate::{Event, OrganizationId, Seq, json};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(name)).expect("the folder is committed");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// A file for every event and version that ever shipped: `Connected.v1.json`.
fn wanted() -> BTreeSet<String> {
    let versions = |&(name, current): &(&str, u32)| -> Vec<String> {
        (1..=current).map(|version| format!("{name}.v{version}.json")).collect()
    };
    Event::ALL.iter().flat_map(versions).collect()
}

#[test]
fn every_version_that_shipped_has_a_sample_and_no_sample_is_left_over() {
    assert_eq!(files("samples"), wanted());
}

#[test]
fn every_sample_decodes_and_its_data_comes_back_unchanged() {
    for file in wanted() {
        let text = fs::read_to_string(folder("samples").join(&file)).expect("a sample");
        let raw: Box<RawValue> = serde_json::from_str(&text).expect("JSON");
        let recorded = json::decode(&OrganizationId::from("acme"), Seq(7), &[3; 32], &[4; 32], &raw)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let sample: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(sample["type"], recorded.event.name(), "{file}");

        // A sample of an older version is brought up to date; only the current one can come back unchanged.
        if sample["version"] != recorded.event.version() {
            continue;
        }
        let bytes = json::encode(
            &recorded.id,
            &recorded.subject,
            &recorded.actor,
            &recorded.request_id,
            recorded.recorded_at,
            &recorded.event,
        )
        .expect("JSON");
        let again: Value = serde_json::from_str(bytes.get()).expect("JSON");
        assert_eq!(again, sample, "{file}");
        let wire = recorded.to_wire();
        for member in ["id", "type", "version", "subject", "actor", "requestId", "recordedAt", "data"] {
            assert_eq!(wire[member], sample[member], "{member} of {file} on the wire");
        }
    }
}

/// `BINDERY_WRITE_SCHEMAS=1 cargo test -p events` writes them anew.
#[test]
fn the_committed_schemas_are_those_of_today() {
    let write = std::env::var_os("BINDERY_WRITE_SCHEMAS").is_some();
    let mut known = BTreeSet::new();
    for (name, version, schema) in Event::schemas() {
        let file = format!("{name}.v{version}.json");
        let today = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        let path = folder("schemas").join(&file);
        if write {
            fs::write(&path, &today).expect("written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == today,
            "schemas/{file} is stale: run BINDERY_WRITE_SCHEMAS=1 cargo test -p events, and when the event has \
             shipped, give it a new version instead"
        );
        known.insert(file);
    }
    // Schemas of older versions stay for subscribers that still hold such events.
    let strangers: Vec<_> = files("schemas").into_iter().filter(|file| !wanted().contains(file)).collect();
    assert!(strangers.is_empty() && known.is_subset(&wanted()), "{strangers:?}");
}
