//! The story on the embedded server, and what must be true of its log afterwards.

use crate::engines::engine;
use crate::http::Http;
use crate::site::Site;
use crate::story::{Hands, Story, Teller};
use events::{IntegrationKind, OrganizationId};
use infra::storage::EventLog;
use std::collections::BTreeSet;
use std::path::Path;

async fn the_story_holds(kind: IntegrationKind) {
    let site = Site::start().await;
    let database = engine(kind).clinic();
    let teller = Teller { aloud: false };
    let http = site.http.following();
    let story = Story { http: &http, engine: engine(kind), database: &database, teller };
    story.tell(&Hands::Folder(site.folder.path())).await;

    every_event_is_what_the_published_schemas_say(&http).await;
    let organization = OrganizationId::from("default");
    let verified = site.embedded.store.verify(&organization).await.expect("the log can be read");
    assert_eq!(verified.first_bad, None);
    assert!(verified.events > 15, "{verified:?}");
    let rebuilt =
        site.embedded.store.rebuild_projections(&organization).await.expect("the log can be folded");
    assert!(rebuilt.equal, "projections are the same bytes after a rebuild: {rebuilt:?}");
}

/// What is told to those who follow the log, and what they were promised.
async fn every_event_is_what_the_published_schemas_say(http: &Http) {
    let schema = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/schemas").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
    };
    let (envelope, mut types) = (schema("Envelope.v1.json"), BTreeSet::new());
    let listed = http.get("/events?limit=100").await;
    for event in listed.data().as_array().expect("events") {
        let name = event["type"].as_str().expect("a type");
        let data = schema(&format!("{name}.v{}.json", event["version"]));
        for (schema, part) in [(&envelope, event), (&data, &event["data"])] {
            schema.validate(part).unwrap_or_else(|error| panic!("{error}: {part}"));
        }
        types.insert(name.to_owned());
    }
    assert!(types.len() >= 9, "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_postgres() {
    the_story_holds(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_mariadb() {
    the_story_holds(IntegrationKind::Mysql).await;
}
