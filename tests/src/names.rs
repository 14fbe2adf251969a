//! Keys are called by names that can be changed and erased, and that no log holds.

use crate::http::Http;
use crate::site::Site;
use serde_json::{Value, json};
use std::path::Path;

const NAME: &str = "Ada Lovelace's laptop";

/// What subscribers get of an event that is listed: ids without names, which nobody could take back from them.
pub fn as_sent(listed: &Value) -> Value {
    let mut event = listed.clone();
    let name = event["actor"].as_object_mut().and_then(|actor| actor.remove("name"));
    assert!(name.is_some(), "a list says who, or that nobody knows: {listed}");
    event
}

/// A key with this name, and its id.
async fn mint(site: &Site) -> (Http, String) {
    let minted = site.http.post("/keys", json!({ "name": NAME, "scopes": ["all"] })).await;
    assert_eq!(minted.data()["name"], NAME);
    let text = |member: &str| minted.data()[member].as_str().expect("text").to_owned();
    (site.http.with_key(&text("key")), text("id"))
}

async fn listed(http: &Http, id: &str) -> Value {
    let keys = http.get("/keys?limit=100").await;
    let keys = keys.data().as_array().expect("keys");
    keys.iter().find(|key| key["id"] == id).expect("it is listed")["name"].clone()
}

/// What an auditor is told of what this key did, wherever it is told.
async fn told(http: &Http, id: &str) -> Vec<Value> {
    let events = http.get("/events?limit=100").await;
    let by = |event: &&Value| event["actor"]["id"] == id;
    let event = events.data().as_array().expect("events").iter().find(by).expect("it did something");
    let state = http.get("/audit/state").await;
    let diff = http.get("/audit/diff?from=0").await;
    let done = diff.data()["events"].as_array().expect("events").iter().find(by).expect("it is told");
    vec![
        listed(http, id).await,
        event["actor"]["name"].clone(),
        state.data()["state"]["keys"][id]["name"].clone(),
        done["actor"]["name"].clone(),
    ]
}

fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let holds = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let found = files.filter(|path| holds(std::fs::read(path).expect("a file")));
    found.map(|path| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_told_until_it_is_erased_and_then_is_nowhere() {
    let site = Site::start().await;
    let (ada, id) = mint(&site).await;
    ada.post("/agents", json!({ "name": "Front desk" })).await.data();
    assert_eq!(told(&site.http, &id).await, vec![json!(NAME); 4]);
    let diff = site.http.get("/audit/diff?from=0").await;
    let words = format!("key {id} {NAME:?} created the agent");
    assert!(diff.text.contains(&words.replace('"', "\\\"")), "{}", diff.text);

    let path = format!("/keys/{id}");
    let renamed = site.http.patch(&path, json!({ "name": "reception" })).await;
    assert_eq!(renamed.data()["name"], "reception");
    assert_eq!(told(&site.http, &id).await, vec![json!("reception"); 4]);
    assert_eq!(files_with(site.folder.path(), "Lovelace"), Vec::<String>::new());

    let erased = site.http.patch(&path, json!({ "name": null })).await;
    assert_eq!((&erased.data()["name"], &erased.data()["status"]), (&Value::Null, &json!("active")));
    assert_eq!(told(&site.http, &id).await, vec![Value::Null; 4]);
    assert_eq!(files_with(site.folder.path(), "reception"), Vec::<String>::new());
    ada.get("/agents").await.data();

    let verified = site.http.get("/audit/verify").await;
    assert_eq!(verified.data()["ok"], true, "no event was touched");
    let events = site.http.get("/events?types=KeyRenamed,KeyMinted&limit=100").await;
    let data: Vec<&Value> = events.data().as_array().expect("events").iter().map(|it| &it["data"]).collect();
    assert_eq!(data[2..], [&json!({ "erased": false }), &json!({ "erased": true })]);
    assert!(data[..2].iter().all(|minted| minted.get("name").is_none()), "{data:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_called_as_its_predecessor_and_is_renamed_alone() {
    let site = Site::start().await;
    let (_, id) = mint(&site).await;
    let rotated = site.http.post(&format!("/keys/{id}/rotate"), json!({})).await;
    assert_eq!(rotated.data()["name"], NAME);
    let successor = rotated.data()["id"].as_str().expect("an id");
    site.http.patch(&format!("/keys/{successor}"), json!({ "name": "new" })).await.data();
    assert_eq!(
        (listed(&site.http, &id).await, listed(&site.http, successor).await),
        (json!(NAME), json!("new"))
    );
    let revoked = site.http.delete(&format!("/keys/{id}")).await;
    assert_eq!(revoked.data()["name"], NAME);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_mint_leaves_no_name_behind_that_belongs_to_no_key() {
    let site = Site::start().await;
    let body = json!({ "name": NAME, "scopes": ["agents:read"] });
    let first = site.http.post_once("/keys", body.clone(), "once").await;
    let again = site.http.post_once("/keys", body, "once").await;
    assert_eq!(again.data()["id"], first.data()["id"]);
    let names = site.services.directory.names(&"default".into()).await.expect("names");
    let named: Vec<&str> = names.values().map(String::as_str).filter(|name| *name == NAME).collect();
    assert_eq!(named, [NAME]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_none_changes_nothing() {
    let site = Site::start().await;
    let (_, id) = mint(&site).await;
    let path = format!("/keys/{id}");
    for body in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "a\u{7}" }),
        json!({ "name": "x".repeat(101) }),
        json!({ "name": 7 }),
        json!({ "name": "a", "scopes": ["all"] }),
    ] {
        let refused = site.http.patch(&path, body.clone()).await;
        assert_eq!(refused.refusal(400), "validation_error", "{body}");
    }
    assert_eq!(site.http.patch("/keys/nobody", json!({ "name": "a" })).await.refusal(404), "not_found");
    assert_eq!(listed(&site.http, &id).await, NAME);
    let renamed = site.http.get("/events?types=KeyRenamed").await;
    assert_eq!(renamed.data(), &json!([]));
}
