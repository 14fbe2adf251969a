//! The OpenAPI document: committed, well-formed, and true of what the server really answers.

mod answers;

use functions::endpoint::{Repeat, Shape};
use functions::problem::Code;
use functions::{endpoints, openapi};
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");

/// As the server gives it where it listens by default.
fn document() -> Value {
    openapi::document("http://127.0.0.1:8480")
}

/// Every operation with its path and method.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[test]
fn the_committed_document_is_that_of_the_endpoint_list() {
    let fresh = document();
    if std::env::var_os("BINDERY_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&fresh).expect("JSON");
        std::fs::write(FILE, format!("{text}\n")).expect("openapi.json can be written");
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    // As values: the order of members says nothing.
    let same = serde_json::from_str::<Value>(&committed).is_ok_and(|committed| committed == fresh);
    assert!(same, "openapi.json is stale: run BINDERY_BLESS=1 cargo test -p tests openapi, and commit it");
}

#[test]
fn a_stream_is_said_to_be_served_at_another_address_on_aws_and_nothing_else_is() {
    let document = document();
    for (path, _, operation) in operations(&document) {
        let endpoint = endpoints::ALL.iter().find(|it| operation["operationId"] == it.name);
        let streams = endpoint.is_some_and(|it| it.shape == Shape::Stream);
        let said = operation["description"].as_str().is_some_and(|it| it.contains("an address of its own"));
        assert_eq!(said, streams, "{path}");
    }
}

#[test]
fn operations_have_ids_of_their_own_and_declare_every_part_of_their_path() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id}");
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let places: Vec<(&str, &str)> = parameters
            .iter()
            .map(|it| (it["in"].as_str().unwrap_or(""), it["name"].as_str().unwrap_or("")))
            .collect();
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len(), "{id}: a parameter twice");
        assert!(parameters.iter().all(|it| it["schema"].is_object()), "{id}");
        let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path: BTreeSet<&str> = in_path.collect();
        let declared: BTreeSet<&str> = places.iter().filter(|it| it.0 == "path").map(|it| it.1).collect();
        assert_eq!(in_path, declared, "{id}");
        assert!(parameters.iter().filter(|it| it["in"] == "path").all(|it| it["required"] == true), "{id}");
        let takes_body = matches!(method, "post" | "patch" | "put");
        assert!(takes_body || operation["requestBody"].is_null(), "{id}: a {method} has no body");
    }
    for endpoint in endpoints::ALL {
        assert!(ids.contains(endpoint.name), "{} is not in the document", endpoint.name);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_one() {
    let document = document();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in &references {
        let pointer =
            reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leaves the document"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let used: BTreeSet<&str> = references.iter().map(String::as_str).collect();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(used.contains(format!("#/components/schemas/{name}").as_str()), "{name} is used nowhere");
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect_references(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_endpoint_documents_its_statuses_and_codes() {
    let document = document();
    for endpoint in endpoints::ALL {
        let found = operations(&document).find(|(.., operation)| operation["operationId"] == endpoint.name);
        let responses = &found.expect("every endpoint is an operation").2["responses"];
        for status in endpoint.success {
            let media_type = match endpoint.shape {
                Shape::Messages if *status == 202 => continue,
                Shape::Messages => "application/json",
                Shape::One | Shape::List | Shape::Paged => "application/json",
                Shape::Stream => "text/event-stream",
            };
            let schema = &responses[status.to_string()]["content"][media_type]["schema"];
            assert!(schema.is_object(), "{} {status}", endpoint.name);
        }
        let usual =
            [Code::InvalidApiKey, Code::InsufficientScope, Code::RateLimited, Code::ServiceUnavailable];
        let repeatable: &[Code] = match endpoint.repeat {
            Repeat::Harmless => &[],
            Repeat::Answered | Repeat::Own => &[Code::IdempotencyKeyReused, Code::IdempotencyInProgress],
        };
        for code in usual.iter().chain(endpoint.problems).chain(repeatable) {
            let response = &responses[code.status().as_str()];
            let described = response["description"].as_str().unwrap_or_default();
            assert!(
                described.contains(&format!("`{}`", code.as_str())),
                "{} {}",
                endpoint.name,
                code.as_str()
            );
            assert!(response["content"]["application/problem+json"].is_object(), "{}", endpoint.name);
        }
    }
}
