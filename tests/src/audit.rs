//! What could this agent see and run on that day, and who changed it: asked later, answered as it was then.

use crate::desk::Desk;
use crate::engines::engine;
use crate::http::Http;
use crate::site::Site;
use events::IntegrationKind;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use std::path::Path;

async fn state(http: &Http, at: &str) -> Value {
    http.get(&format!("/audit/state?at={at}")).await.data().clone()
}

async fn told(http: &Http, query: &str) -> Value {
    http.get(&format!("/audit/diff?{query}")).await.data().clone()
}

/// What a request that changes something leaves: its position, and the state as it was told at once.
struct Moment {
    seq: u64,
    state: Value,
}

/// A life with everything in it, remembered change by change.
async fn live_through(desk: &Desk) -> Vec<Moment> {
    let http = &desk.site.http;
    let binding = |tool: &str| {
        json!({
            "toolName": tool, "operation": "patients.read",
            "inputs": [{ "param": "phone", "arg": "phone" }],
            "projection": [{ "path": ["patients", "email"], "leaf": "email" }],
        })
    };
    let mut moments = Vec::new();
    let mut remember = async || {
        let now = http.get("/audit/state").await.data().clone();
        moments.push(Moment { seq: now["seq"].as_u64().expect("a position"), state: now["state"].clone() });
    };
    let publish = format!("/agents/{}/publish", desk.agent);
    remember().await;
    let skill = desk.bind(binding("find_patient")).await;
    remember().await;
    let first = http.post(&publish, json!({ "note": "first" })).await.data()["id"].clone();
    remember().await;
    desk.bind(binding("find_by_phone")).await;
    http.post(&publish, json!({ "note": "second" })).await.data();
    remember().await;
    http.post(&format!("/agents/{}/rollback", desk.agent), json!({ "versionId": first })).await.data();
    remember().await;
    let block = json!({ "blockedColumns": { "patients": ["email"] } });
    http.patch(&format!("/integrations/{}/scoping", desk.engine.kind), block).await.data();
    remember().await;
    let minted = http.post("/keys", json!({ "name": "short-lived", "scopes": ["agents:read"] })).await;
    let id = minted.data()["id"].as_str().expect("an id").to_owned();
    remember().await;
    http.delete(&format!("/keys/{id}")).await.data();
    remember().await;
    let skill = skill["id"].as_str().expect("an id");
    http.delete(&format!("/agents/{}/skills/{skill}", desk.agent)).await.data();
    remember().await;
    http.delete(&format!("/integrations/{}", desk.engine.kind)).await.data();
    remember().await;
    moments
}

async fn desk(kind: IntegrationKind) -> Desk {
    let (site, engine) = (Site::start().await, engine(kind));
    let database = engine.clinic();
    site.connect(&site.http, engine, &database).await;
    let agent = site.agent(&site.http).await;
    Desk { site, engine, database, agent }
}

async fn the_past_is_told_as_it_was(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let moments = live_through(&desk).await;
    for moment in &moments {
        let later = state(&desk.site.http, &moment.seq.to_string()).await;
        assert_eq!(later["state"], moment.state, "at {}", moment.seq);
        // The instant of that event, which leads back to it.
        let instant = later["at"].as_str().expect("an instant");
        let by_time = state(&desk.site.http, instant).await;
        assert_eq!((&by_time["seq"], &by_time["state"]), (&json!(moment.seq), &moment.state));
    }
    // Another process, which has nothing in memory.
    let site = desk.site.restarted(&[]).await;
    for moment in moments.iter().rev() {
        assert_eq!(state(&site.http, &moment.seq.to_string()).await["state"], moment.state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_told_as_it_was_on_postgres() {
    the_past_is_told_as_it_was(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_told_as_it_was_on_mariadb() {
    the_past_is_told_as_it_was(IntegrationKind::Mysql).await;
}

async fn a_state_tells_what_could_run_what_was_stopped_and_no_secret(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let name = kind.as_str();
    let moments = live_through(&desk).await;
    let agent = |at: usize| &moments[at].state["agents"][&desk.agent];
    assert_eq!(agent(0)["published"], Value::Null);
    assert_eq!(agent(1)["drafts"]["find_patient"]["runnable"], true);

    let published = &agent(2)["published"];
    assert_eq!((&published["version"], &published["note"]), (&json!(1), &json!("first")));
    let skill = &published["skills"]["find_patient"];
    let statement = skill["executionConfig"]["statement"].as_str().expect("a statement");
    assert!(statement.starts_with("SELECT ") && statement.contains("patients"), "{statement}");
    let parameters = &skill["executionConfig"]["parameters"];
    assert_eq!((&parameters[0]["name"], &parameters[0]["source"]), (&json!("phone"), &json!("model")));
    assert_eq!(
        (&skill["runnable"], &skill["parametersSchema"]["required"]),
        (&json!(true), &json!(["phone"]))
    );

    let tools = |at: usize| -> Vec<String> {
        agent(at)["published"]["skills"].as_object().expect("skills").keys().cloned().collect()
    };
    assert_eq!(tools(3), ["find_by_phone", "find_patient"]);
    assert_eq!(tools(4), ["find_patient"], "the rollback");

    let stopped = &agent(5)["published"]["skills"]["find_patient"];
    assert_eq!((&stopped["runnable"], &stopped["quarantine"]["cause"]), (&json!(false), &json!("blocked")));
    let blocked = &moments[5].state["scoping"][name]["blockedColumns"];
    assert_eq!(blocked, &json!({ "patients": ["email"] }));
    assert_eq!(moments[4].state["scoping"][name], Value::Null);

    let in_force = |at: usize| {
        let keys = moments[at].state["keys"].as_object().expect("keys");
        keys.values().find(|key| key["name"] == "short-lived").map(|key| key["inForce"].clone())
    };
    assert_eq!([in_force(5), in_force(6), in_force(7)], [None, Some(json!(true)), Some(json!(false))]);
    let connection = &moments[8].state["connections"][name];
    let member = |member: &str| connection[member].clone();
    assert_eq!([member("host"), member("database")], [json!(desk.engine.host), json!(desk.database)]);
    assert_eq!([member("user"), member("sslmode")], [json!(desk.user()), json!("verify-full")]);
    assert_eq!([member("port"), member("credentialVersion")], [json!(desk.engine.port), json!(1)]);
    let schema = &moments[8].state["schemas"][name];
    assert_eq!(schema["schemaRoot"].as_str().map(str::len), Some(64), "{schema}");
    for count in ["objectCount", "fieldCount", "edgeCount", "operationCount"] {
        assert!(schema[count].as_u64() > Some(5), "{count} of {schema}");
    }
    assert_eq!(moments[9].state["connections"], json!({}));
    let disconnected = &agent(9)["published"]["skills"]["find_patient"];
    assert_eq!(disconnected["runnable"], false);

    let own = functions::key_text::parse(&desk.site.http.key).expect("a key").key_id.to_owned();
    let minted = moments[6].state["keys"].as_object().expect("keys").values();
    let minted = minted.filter(|key| key["name"] == "short-lived").collect::<Vec<_>>();
    assert_eq!(minted[0]["createdBy"], json!({ "kind": "key", "id": own, "name": "test" }));
    assert_eq!(minted[0]["scopes"], json!(["agents:read"]));
    assert_eq!(published["publishedBy"]["name"], "test");
    let everything = json!(moments.iter().map(|moment| &moment.state).collect::<Vec<_>>()).to_string();
    for secret in ["secretHash", "password", "ca_pem", "BEGIN CERTIFICATE"] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_tells_what_could_run_what_was_stopped_and_no_secret_on_postgres() {
    a_state_tells_what_could_run_what_was_stopped_and_no_secret(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_tells_what_could_run_what_was_stopped_and_no_secret_on_mariadb() {
    a_state_tells_what_could_run_what_was_stopped_and_no_secret(IntegrationKind::Mysql).await;
}

async fn a_difference_names_every_change_and_who_made_it(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let moments = live_through(&desk).await;
    let http = &desk.site.http;
    let (before, after) = (moments[4].seq, moments[5].seq);
    let diff = told(http, &format!("from={before}&to={after}")).await;
    let fields: Vec<(&str, &str)> = diff["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|it| (it["field"].as_str().expect("a path"), it["kind"].as_str().expect("a kind")))
        .collect();
    assert!(
        fields.contains(&(format!("scoping.{kind}.blockedColumns.patients").as_str(), "added")),
        "{fields:?}"
    );
    let runnable = format!("agents.{}.published.skills.find_patient.runnable", desk.agent);
    assert!(fields.contains(&(runnable.as_str(), "changed")), "{fields:?}");

    let key = functions::key_text::parse(&http.key).expect("a key").key_id.to_owned();
    let words: Vec<&str> = diff["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|it| {
            assert_eq!(it["actor"], json!({ "kind": "key", "id": key, "name": "test" }));
            assert!(it["recordedAt"].is_string() && it["requestId"].is_string(), "{it}");
            it["words"].as_str().expect("words")
        })
        .collect();
    assert_eq!(words[0], format!("key {key} \"test\" set what is blocked on {kind} to patients.email"));
    assert!(words[1].starts_with(&format!("key {key} \"test\" stopped find_patient (")), "{}", words[1]);
    assert_eq!((words.len(), &diff["eventCount"]), (2, &json!(2)));
    let agent = format!("the agent \"Front desk\" ({})", desk.agent);
    let stopped = "is stopped: The statement uses `patients.email`, which is blocked.";
    assert_eq!(
        diff["summary"],
        json!([
            format!("blocked on {kind} are now also patients.email"),
            format!("find_patient of {agent} {stopped}"),
        ])
    );
    let back = told(http, &format!("from={}&to={}", moments[3].seq, moments[4].seq)).await;
    assert_eq!(
        back["summary"],
        json!([
            format!("{agent} serves version 1 instead of 2"),
            format!("find_by_phone of {agent} cannot be called any more"),
        ])
    );
    let ended = told(http, &format!("from={}", moments[8].seq)).await;
    let sentences = ended["summary"].to_string();
    assert!(sentences.contains(&format!("{kind} is not connected any more; it was at")), "{sentences}");
    let minted = told(http, &format!("from={}&to={}", moments[5].seq, moments[6].seq)).await;
    let sentence = minted["summary"][0].as_str().expect("a sentence");
    let by = format!(" \"short-lived\", minted by key {key} \"test\", may agents:read");
    assert!(sentence.starts_with("key ") && sentence.ends_with(&by), "{sentence}");

    let nothing = told(http, &format!("from={after}&to={after}")).await;
    assert_eq!((&nothing["changes"], &nothing["events"]), (&json!([]), &json!([])));
    let whole = told(http, "from=0").await;
    assert_eq!(whole["eventCount"], whole["to"]);
    let words: Vec<&str> =
        whole["events"].as_array().expect("events").iter().filter_map(|it| it["words"].as_str()).collect();
    let minted = format!("operator test minted the key {key} \"test\" for integrations:read, ");
    assert!(words[0].starts_with(&minted), "{}", words[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_names_every_change_and_who_made_it_on_postgres() {
    a_difference_names_every_change_and_who_made_it(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_names_every_change_and_who_made_it_on_mariadb() {
    a_difference_names_every_change_and_who_made_it(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_from_an_event_names_it_as_its_cause() {
    let desk = desk(IntegrationKind::Postgres).await;
    live_through(&desk).await;
    let listed = desk.site.http.get("/events?limit=100").await;
    let events = listed.data().as_array().expect("events");
    let followed = |event: &Value| {
        let cause = events.iter().find(|other| other["id"] == event["cause"]);
        cause.map(|cause| {
            assert_eq!(cause["requestId"], event["requestId"]);
            cause["type"].clone()
        })
    };
    let caused: Vec<(Value, Option<Value>)> =
        events.iter().map(|event| (event["type"].clone(), followed(event))).collect();
    let of = |name: &str| -> Vec<Option<Value>> {
        caused.iter().filter(|(event, _)| event == name).map(|(_, cause)| cause.clone()).collect()
    };
    assert_eq!(of("SkillsQuarantined"), [Some(json!("ScopingChanged"))]);
    assert_eq!(of("CredentialsShredded"), [Some(json!("Disconnected"))]);
    assert_eq!([of("ScopingChanged"), of("Disconnected")], [[None], [None]]);
    assert!(events.iter().all(|event| event.get("cause") != Some(&Value::Null)), "absent and never null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_is_none_is_refused() {
    let site = Site::start().await;
    for path in [
        "/audit/state?at=2",
        "/audit/state?at=yesterday",
        "/audit/state?at=-1",
        "/audit/diff",
        "/audit/diff?from=1&to=0",
        "/audit/diff?from=0&to=9",
    ] {
        let answer = site.http.get(path).await;
        assert_eq!((answer.status, answer.code()), (400, "validation_error"), "{path}: {}", answer.text);
    }
    let before_everything = state(&site.http, "1970-01-01T00:00:00Z").await;
    assert_eq!((&before_everything["seq"], &before_everything["state"]["keys"]), (&json!(0), &json!({})));
    let future = state(&site.http, "2100-01-01T00:00:00Z").await;
    assert_eq!(future["seq"], 1);
    let zero = state(&site.http, "0").await;
    assert_eq!(zero["state"], before_everything["state"]);
}

/// What somebody with the file can do.
async fn tamper(folder: &Path, statement: &str) {
    let options = SqliteConnectOptions::new().filename(folder.join("bindery.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the file opens");
    let unlocked = format!("DROP TRIGGER commits_are_never_changed; {statement}");
    sqlx::raw_sql(AssertSqlSafe(unlocked)).execute(&mut connection).await.expect("it is changed");
    connection.close().await.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_changed_behind_the_server_is_found_and_the_place_is_named() {
    let site = Site::start().await;
    for at in 0..5 {
        site.http.post("/agents", json!({ "name": format!("agent {at}") })).await.data();
    }
    let verified = site.http.get("/audit/verify").await.data().clone();
    assert_eq!(
        (&verified["ok"], &verified["events"], &verified["headSeq"]),
        (&json!(true), &json!(6), &json!(6))
    );
    let listed = site.http.get("/events?after=5").await.data()[0].clone();
    assert_eq!(verified["headHash"], listed["hash"]);

    tamper(site.folder.path(), "UPDATE commits SET body = replace(body, 'agent 2', 'agent 7')").await;
    let found = site.http.get("/audit/verify").await.data().clone();
    assert_eq!((&found["ok"], &found["firstBadSeq"]), (&json!(false), &json!(4)), "{found}");
    // The past that it would falsify is not told either.
    assert_eq!(site.http.get("/audit/state?at=4").await.status, 503);
}
