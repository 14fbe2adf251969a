//! Records of live calls: each leaves one, none holds a value, and a crash loses the last moment of them at most.

use crate::command_line::program::Server;
use crate::desk::Desk;
use crate::http::{Answer, Http};
use events::IntegrationKind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn desk(kind: IntegrationKind) -> Desk {
    let text = if kind == IntegrationKind::Postgres { "text" } else { "varchar(80)" };
    let desk = Desk::open(
        kind,
        &format!(
            "CREATE TABLE guests (id int PRIMARY KEY, name {text} NOT NULL, phone varchar(20) UNIQUE, note {text});
             INSERT INTO guests VALUES (4711, 'Secretary Bird', '+12025550142', 'quiet'),
                                       (4712, 'Shoebill', '+12025550199', 'quiet');"
        ),
    )
    .await;
    let leaf = json!([{ "path": ["guest", "name"], "leaf": "name" }]);
    desk.bind(json!({ "toolName": "find_guest", "operation": "guests.read", "projection": leaf,
        "inputs": [{ "param": "number", "arg": "id", "required": true }] }))
        .await;
    desk.bind(json!({ "toolName": "who_calls", "operation": "guests.read", "projection": leaf,
        "inputs": [{ "param": "caller_phone", "arg": "phone", "required": true, "source": "caller" }] }))
        .await;
    desk.bind(
        json!({ "toolName": "note", "operation": "guests.update", "keyColumn": "id", "keyParam": "number",
        "inputs": [{ "param": "text", "arg": "note", "required": true }] }),
    )
    .await;
    desk.publish().await;
    desk
}

impl Desk {
    async fn list(&self, query: &str) -> Answer {
        self.site.http.get(&format!("/agents/{}/calls?{query}", self.agent)).await
    }

    /// Newest first.
    async fn records(&self, query: &str) -> Vec<Value> {
        self.list(query).await.data().as_array().expect("a list").clone()
    }
}

async fn every_live_call_leaves_a_record_without_a_value(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let context = json!({ "callId": "call-1", "toolCallId": "tool-1", "callerPhone": "+12025550142" });
    let of_call = |arguments: Value| json!({ "arguments": arguments, "context": context });
    let found = desk.send("find_guest", of_call(json!({ "number": 4711 })), &[]).await;
    desk.call("find_guest", json!({ "number": 9999 })).await;
    desk.call("find_guest", json!({ "number": "Secretary" })).await;
    desk.send("who_calls", of_call(json!({})), &[]).await.data();
    let write = of_call(json!({ "number": 4711, "text": "Shoebill's friend" }));
    desk.send("note", write.clone(), &[]).await.data();
    desk.send("note", write, &[]).await.data();
    let other = |text: &str| json!({ "arguments": { "number": 4711, "text": text } });
    desk.send("note", other("one"), &[("Idempotency-Key", "k")]).await.data();
    desk.send("note", other("two"), &[("Idempotency-Key", "k")]).await.refusal(422);

    let mut records = desk.records("limit=100").await;
    records.reverse();
    let outcomes: Vec<(&str, &str)> = records
        .iter()
        .map(|it| (it["tool"].as_str().expect("a tool"), it["outcome"].as_str().expect("an outcome")))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("find_guest", "ok"),
            ("find_guest", "not_found"),
            ("find_guest", "invalid_arguments"),
            ("who_calls", "ok"),
            ("note", "ok"),
            ("note", "ok"),
            ("note", "ok"),
            ("note", "error"),
        ]
    );
    let first = &records[0];
    let told = &found.data()["timing"];
    assert_eq!(first["requestId"], found.header("x-request-id").expect("an id"));
    assert_eq!(first["version"], 1);
    assert_eq!((&first["callId"], &first["toolCallId"]), (&json!("call-1"), &json!("tool-1")));
    assert_eq!(first["lookup"]["parameter"], "number");
    assert_eq!(first["lookup"]["hash"], first["arguments"]["number"]);
    assert_eq!(first["actor"]["name"], "test");
    assert!(first["timing"]["totalMs"].as_f64() >= told["databaseMs"].as_f64(), "{first}");
    assert_eq!(first["timing"]["databaseMs"], told["databaseMs"]);
    assert_eq!((&records[1]["code"], &records[1]["rowCount"]), (&json!("no_rows"), &json!(0)));
    let replayed: Vec<&Value> = records.iter().map(|it| &it["replayed"]).collect();
    assert_eq!(replayed.iter().filter(|it| ***it == json!(true)).count(), 1, "the write that came again");
    assert_eq!(records[7]["code"], "idempotency_key_reused");

    let kept = desk.site.kept_calls().await;
    let holds = |needle: &str| kept.windows(needle.len()).any(|bytes| bytes == needle.as_bytes());
    assert!(holds("find_guest"), "what is no value is found");
    for value in ["4711", "Secretary", "2025550142", "friend"] {
        assert!(!records.iter().any(|it| it.to_string().contains(value)), "{value} is told");
        assert!(!holds(value), "{value} is in the file");
    }
}

async fn the_calls_that_touched_a_record_are_found(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.call("find_guest", json!({ "number": 4711 })).await;
    desk.call("find_guest", json!({ "number": 4712 })).await;
    desk.call("note", json!({ "number": 4711, "text": "4712" })).await;
    let context = json!({ "callerPhone": "+12025550199", "callId": "call-7" });
    desk.send("who_calls", json!({ "arguments": {}, "context": context }), &[]).await.data();

    let tools = async |query: &str| {
        let records = desk.records(query).await;
        records.iter().map(|it| it["tool"].as_str().expect("a tool").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tools("lookup=4711").await, ["note", "find_guest"]);
    assert_eq!(tools("lookup=4712").await, ["find_guest"], "a value that was written is no lookup");
    assert_eq!(tools("lookup=%2B12025550199").await, ["who_calls"]);
    assert_eq!(tools("lookup=4711&skill=note").await, ["note"]);
    assert_eq!(tools("callId=call-7").await, ["who_calls"]);
    assert_eq!(tools("lookup=4713").await, Vec::<String>::new());
    assert_eq!(tools("from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(tools("from=2020-01-01T00:00:00Z").await.len(), 4);
    let key = desk.records("").await[0]["actor"]["id"].as_str().expect("a key").to_owned();
    assert_eq!(tools(&format!("actor={key}")).await.len(), 4);
    assert_eq!(tools("actor=somebody").await, Vec::<String>::new());

    let wrong = desk.list("outcome=fine&resolved=perhaps&from=yesterday&limit=10").await;
    assert_eq!(wrong.refusal(400), "validation_error");
    let fields: Vec<&str> = wrong.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|it| it["field"].as_str())
        .collect();
    assert_eq!(fields, ["outcome", "resolved", "from"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_calls_hold_each_once_whatever_is_filtered() {
    let desk = desk(IntegrationKind::Postgres).await;
    for number in 0..23 {
        desk.call("find_guest", json!({ "number": if number % 3 == 0 { 4711 } else { number } })).await;
    }
    for (filter, wanted) in
        [("", 23), ("outcome=ok&", 8), ("outcome=not_found&", 15), ("outcome=timeout&", 0)]
    {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = desk.list(&format!("{filter}limit=5{cursor}")).await;
            let pagination = page.body["pagination"].clone();
            assert_eq!(pagination["total"], wanted, "{filter}");
            seen.extend(page.data().as_array().expect("a list").iter().map(|it| it["id"].clone()));
            match pagination["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort_by_key(|id| std::cmp::Reverse(id.to_string()));
        sorted.dedup();
        assert_eq!((seen.len(), sorted == seen), (wanted, true), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skill_and_the_report_tell_how_long_its_calls_took() {
    let desk = desk(IntegrationKind::Postgres).await;
    let skill = async |tool: &str| {
        let skills = desk.site.http.get(&format!("/agents/{}/skills", desk.agent)).await.data().clone();
        let skill = skills.as_array().expect("a list").iter().find(|it| it["tool"] == tool).cloned();
        let id = skill.expect("the skill")["id"].as_str().expect("an id").to_owned();
        desk.site.http.get(&format!("/agents/{}/skills/{id}", desk.agent)).await.data().clone()
    };
    assert_eq!(skill("find_guest").await.get("latency"), None);
    for number in 0..20 {
        desk.call("find_guest", json!({ "number": number })).await;
    }
    desk.call("find_guest", json!({ "number": "none" })).await;
    let latency = skill("find_guest").await["latency"].clone();
    assert_eq!(latency["calls"], 20, "one was refused before the database was asked");
    let of = |part: &str, percentile: &str| latency[part][percentile].as_f64().expect("milliseconds");
    for percentile in ["p50Ms", "p95Ms", "p99Ms"] {
        assert!(of("total", percentile) >= of("database", percentile), "{latency}");
    }
    assert!(of("database", "p50Ms") > 0.0 && of("database", "p50Ms") <= of("database", "p99Ms"), "{latency}");
    assert_eq!(skill("note").await.get("latency"), None);
    let report =
        desk.site.http.get(&format!("/agents/{}/prepublish-report", desk.agent)).await.data().clone();
    let told = report["skills"].as_array().expect("skills").iter().find(|it| it["tool"] == "find_guest");
    assert_eq!(told.expect("the skill")["latency"], latency);
}

/// Whoever kills the process loses what it recorded in the last quarter of a second; whoever stops it loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_loses_no_record_and_one_that_is_killed_only_the_last_ones() {
    let desk = desk(IntegrationKind::Postgres).await;
    let folder = desk.site.folder.clone();
    let variables = [("BINDERY_ALLOW_PRIVATE_HOSTS", "127.0.0.0/8,::1/128")];
    let path = format!("/agents/{}/skills/find_guest/call", desk.agent);
    for is_killed in [false, true, true, true] {
        let mut server = Server::start_with(folder.path(), &variables);
        let http = Http::new(&server.url, &desk.site.http.key);
        let (started, since) = (Instant::now(), jiff::Timestamp::now());
        let mut answered = Vec::new();
        while started.elapsed() < Duration::from_millis(1500) {
            http.post(&path, json!({ "arguments": { "number": 4711 } })).await.data();
            answered.push(Instant::now());
        }
        let ended = Instant::now();
        if is_killed {
            server.kill();
        } else {
            server.terminate();
            assert!(server.wait().success());
        }
        let page = desk.list(&format!("limit=1&from={since}")).await;
        let total = page.body["pagination"]["total"].as_u64().expect("a number");
        let lost = answered.len() - total as usize;
        let last_second = answered.iter().filter(|at| ended - **at < Duration::from_secs(1)).count();
        eprintln!("killed {is_killed}: {} calls, {lost} records lost", answered.len());
        assert!(lost <= if is_killed { last_second } else { 0 }, "{lost} of {} lost", answered.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_live_call_leaves_a_record_without_a_value_on_postgres() {
    every_live_call_leaves_a_record_without_a_value(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_live_call_leaves_a_record_without_a_value_on_mariadb() {
    every_live_call_leaves_a_record_without_a_value(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_that_touched_a_record_are_found_on_postgres() {
    the_calls_that_touched_a_record_are_found(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_that_touched_a_record_are_found_on_mariadb() {
    the_calls_that_touched_a_record_are_found(IntegrationKind::Mysql).await;
}
