//! What has shipped stays readable: frozen samples decode, and the committed schemas are today's shapes.

use crate::{Event, OrganizationId, Recorded, Seq, WireEvent, json};
use jsonschema::Validator;
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

/// Samples of what an event may hold besides, in its envelope or its data.
const BESIDES: [&str; 2] = ["BindingRevised.v1.leveled.json", "SkillsQuarantined.v1.caused.json"];
/// The schema of what surrounds every event.
const ENVELOPE: &str = "Envelope.v1.json";

fn samples() -> BTreeSet<String> {
    wanted().into_iter().chain(BESIDES.map(str::to_owned)).collect()
}

fn recorded(sample: &str) -> Recorded {
    let raw: Box<RawValue> = serde_json::from_str(sample).expect("JSON");
    json::decode(&OrganizationId::from("acme"), Seq(7), &[3; 32], &[4; 32], &raw)
        .unwrap_or_else(|error| panic!("{error}: {sample}"))
}

fn read(folder_name: &str, file: &str) -> String {
    fs::read_to_string(folder(folder_name).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn validator(schema: &str) -> Validator {
    let schema = serde_json::from_str(&read("schemas", schema)).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn every_version_that_shipped_has_a_sample_and_no_sample_is_left_over() {
    assert_eq!(files("samples"), samples());
}

#[test]
fn every_sample_is_what_the_published_schemas_say() {
    let envelope = validator(ENVELOPE);
    for file in samples() {
        let text = read("samples", &file);
        let sample: Value = serde_json::from_str(&text).expect("JSON");
        let (name, version) = (sample["type"].as_str().expect("a type"), &sample["version"]);
        let data = validator(&format!("{name}.v{version}.json"));
        data.validate(&sample["data"]).unwrap_or_else(|error| panic!("{file}: {error}"));
        let wire = recorded(&text).to_wire();
        envelope.validate(&wire).unwrap_or_else(|error| panic!("{file}: {error}"));
        let name = wire["type"].as_str().expect("a type");
        let today = validator(&format!("{name}.v{}.json", wire["version"]));
        today.validate(&wire["data"]).unwrap_or_else(|error| panic!("{file} on the wire: {error}"));
    }
}

#[test]
fn a_schema_refuses_what_no_event_is() {
    let mut wire = recorded(&read("samples", "KeyRevoked.v1.json")).to_wire();
    wire["type"] = "KeyForgotten".into();
    assert!(validator(ENVELOPE).validate(&wire).is_err());
    let named = serde_json::json!({ "keyId": 7, "scopes": [], "secretHash": "00" });
    assert!(validator("KeyMinted.v2.json").validate(&named).is_err());
}

#[test]
fn a_key_that_was_minted_with_its_name_is_read_without_it() {
    let old = recorded(&read("samples", "KeyMinted.v1.json"));
    let today = recorded(&read("samples", "KeyMinted.v2.json"));
    assert_eq!(old.event, today.event);
    assert!(!old.to_wire().to_string().contains("\"name\""));
}

#[test]
fn every_sample_decodes_and_its_data_comes_back_unchanged() {
    for file in samples() {
        let text = read("samples", &file);
        let recorded = recorded(&text);
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
            recorded.cause.as_ref(),
            recorded.recorded_at,
            &recorded.event,
        )
        .expect("JSON");
        let again: Value = serde_json::from_str(bytes.get()).expect("JSON");
        assert_eq!(again, sample, "{file}");
        let wire = recorded.to_wire();
        for member in
            ["id", "type", "version", "subject", "actor", "requestId", "cause", "recordedAt", "data"]
        {
            assert_eq!(wire[member], sample[member], "{member} of {file} on the wire");
        }
    }
}

/// `BINDERY_WRITE_SCHEMAS=1 cargo test -p events` writes them anew.
#[test]
fn the_committed_schemas_are_those_of_today() {
    let write = std::env::var_os("BINDERY_WRITE_SCHEMAS").is_some();
    let mut known = BTreeSet::new();
    let of_events = Event::schemas().into_iter();
    let of_events = of_events.map(|(name, version, schema)| (format!("{name}.v{version}.json"), schema));
    for (file, schema) in of_events.chain([(ENVELOPE.to_owned(), WireEvent::schema())]) {
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
    let wanted: BTreeSet<String> = wanted().into_iter().chain([ENVELOPE.to_owned()]).collect();
    assert_eq!(files("schemas"), wanted);
    assert!(known.is_subset(&wanted));
}
