//! Keys that end, names that collide, and requests that are too much.

use super::{agent_with_read, call, find_patient, known_phone, publish, text};
use crate::engines::postgres;
use crate::site::Site;
use domain::limits::{ERRORS_LISTED, NAME_CHARS, SCOPING_NAMES_MAX};
use functions::start::embedded::{Embedded, KEY_FILE};
use functions::{clock, key_text};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test]
async fn a_data_folder_with_a_history_does_not_open_without_its_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let master_key = folder.path().join(KEY_FILE);
    drop(Embedded::open(folder.path()).await.expect("a new folder gets a key"));
    std::fs::remove_file(&master_key).expect("it was made");
    drop(Embedded::open(folder.path()).await.expect("a folder without a history gets another"));

    let site = Site::start().await;
    let path = site.folder.path().to_owned();
    let folder = site.folder.clone();
    std::fs::remove_file(path.join(KEY_FILE)).expect("it was made");
    drop(site);
    let refused = Embedded::open(&path).await.err().expect("it is refused");
    assert!(refused.contains("restore"), "{refused}");
    assert!(refused.contains(KEY_FILE), "{refused}");
    assert!(!path.join(KEY_FILE).exists(), "no other key was made");
    drop(folder);
}

#[tokio::test]
async fn a_key_that_expired_has_no_successor() {
    let site = Site::start().await;
    let expired = site.http_until("default", &["skills:call"], Some(clock::now() - HOUR)).await;
    let id = key_text::parse(&expired.key).expect("a key").key_id.to_owned();
    let refused = site.http.post(&format!("/keys/{id}/rotate"), json!({})).await;
    assert_eq!(refused.refusal(409), "key_ended");
}

#[tokio::test]
async fn a_key_that_expires_makes_none_that_outlives_it() {
    let site = Site::start().await;
    let end = clock::now() + HOUR;
    let expiring = site.http_until("default", &["keys:write", "skills:call"], Some(end)).await;
    let minted = |expires_at: Value| {
        let body = json!({ "name": "new", "scopes": ["skills:call"], "expiresAt": expires_at });
        async { expiring.post("/keys", body).await }
    };
    for beyond in [Value::Null, json!(end + HOUR)] {
        let refused = minted(beyond).await;
        assert_eq!(refused.refusal(400), "validation_error");
        assert_eq!(refused.body["errors"][0]["field"], "expiresAt", "{}", refused.text);
    }
    assert_eq!(minted(json!(end)).await.status, 201);

    // A rotation makes a key too: that of one which lives longer is not this key's to take.
    let lasting = site.http_as("default", &["skills:call"]).await;
    let id = |key: &str| key_text::parse(key).expect("a key").key_id.to_owned();
    let rotate = |key: &str| format!("/keys/{}/rotate", id(key));
    let refused = expiring.post(&rotate(&lasting.key), json!({})).await;
    assert_eq!(refused.refusal(400), "validation_error");
    assert_eq!(refused.body["errors"][0]["field"], "id", "{}", refused.text);
    let own = expiring.post(&rotate(&expiring.key), json!({})).await;
    assert_eq!(own.data()["expiresAt"], json!(end), "{}", own.text);
    assert_eq!(site.http.post(&rotate(&lasting.key), json!({})).await.status, 201);
}

#[tokio::test]
async fn a_tool_name_has_the_same_bounds_in_a_review_as_in_a_binding() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let (agent, skill) = agent_with_read(&site, engine).await;
    let bindings = format!("/agents/{agent}/integrations/postgres/bindings");
    let review = format!("/agents/{agent}/skills/{}", text(&skill["id"]));
    for name in ["a".repeat(NAME_CHARS + 1), "1234".to_owned(), String::new()] {
        let bound = site.http.post(&bindings, find_patient(&name)).await;
        let reviewed = site.http.patch(&review, json!({ "toolName": name })).await;
        assert_eq!(bound.refusal(422), reviewed.refusal(422));
        for refused in [bound, reviewed] {
            assert_eq!(refused.body["errors"][0]["field"], "toolName", "{}", refused.text);
        }
    }
    let longest = json!({ "toolName": "a".repeat(NAME_CHARS) });
    site.http.patch(&review, longest).await.data();
}

#[tokio::test]
async fn a_scoping_of_too_many_names_is_refused_as_one() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let tables = |count: usize| (0..count).map(|number| format!("table_{number}")).collect::<Vec<_>>();
    let patch = |body: Value| async { site.http.patch("/integrations/postgres/scoping", body).await };
    let too_many =
        patch(json!({ "blockedTables": tables(SCOPING_NAMES_MAX + 1), "allowUnknown": true })).await;
    assert_eq!(too_many.refusal(400), "validation_error");
    assert_eq!(too_many.body["errors"][0]["code"], "too_many_names", "{}", too_many.text);
    let in_columns = json!({ "patients": tables(SCOPING_NAMES_MAX) });
    let too_many = patch(json!({ "blockedColumns": in_columns, "allowUnknown": true })).await;
    assert_eq!(too_many.refusal(400), "validation_error");
    let most = json!({ "blockedTables": tables(SCOPING_NAMES_MAX), "allowUnknown": true });
    patch(most).await.data();
    patch(json!({ "blockedTables": [] })).await.data();

    let started = Instant::now();
    let unknown = patch(json!({ "blockedTables": tables(1000) })).await;
    assert_eq!(unknown.refusal(422), "unknown_scoping_target");
    assert_eq!(unknown.body["errors"].as_array().map(Vec::len), Some(ERRORS_LISTED));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn sixty_bindings_at_once_are_all_bound() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let agent = site.agent(&site.http).await;
    let mut requests = JoinSet::new();
    for number in 0..60 {
        let (http, path) = (site.http.clone(), format!("/agents/{agent}/integrations/postgres/bindings"));
        requests.spawn(async move { http.post(&path, find_patient(&format!("find_{number}"))).await });
    }
    for bound in requests.join_all().await {
        assert_eq!(bound.status, 201, "{}", bound.text);
    }
    let skills = site.http.get(&format!("/agents/{agent}/skills?limit=1")).await;
    assert_eq!(skills.body["pagination"]["total"], 60);
}

#[tokio::test]
async fn a_tool_named_like_another_skills_id_does_not_stand_in_its_way() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let (agent, by_phone) = agent_with_read(&site, engine).await;
    let by_phone = text(&by_phone["id"]);
    let by_mail = json!({
        "toolName": by_phone,
        "operation": "patients.read",
        "inputs": [{ "param": "email", "arg": "email" }],
        "projection": [{ "path": ["patients", "full_name"], "leaf": "name" }],
    });
    let by_mail = text(&site.bind(&site.http, &agent, engine, by_mail).await["id"]);
    // Each has the other's id for its name: whichever is looked at first must not be taken.
    let review = json!({ "toolName": by_mail });
    site.http.patch(&format!("/agents/{agent}/skills/{by_phone}"), review).await.data();
    publish(&site.http, &agent).await.data();
    let arguments = [
        (&by_phone, known_phone()),
        (&by_mail, json!({ "arguments": { "email": "patient43@example.com" } })),
    ];
    for (skill, body) in arguments {
        for draft in [false, true] {
            let mut body = body.clone();
            body["draftMode"] = json!(draft);
            let found = call(&site.http, &agent, skill, body).await;
            assert_eq!(found.data()["outcome"], "ok", "draft {draft}: {}", found.text);
        }
    }
}
