//! `GET /agents/{agentId}/tools`: what models are told of published skills, and that calls take what it makes them send.

use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};

const SQL: &str = "CREATE TABLE guest_records (id int PRIMARY KEY, full_name varchar(80) NOT NULL,
    nick varchar(40), floor_no int);
    INSERT INTO guest_records VALUES (1, 'Ada', 'A', 3)";

async fn desk(kind: IntegrationKind) -> Desk {
    let desk = Desk::open(kind, SQL).await;
    desk.bind(json!({
        "toolName": "find guest", "operation": "guest_records.read", "description": "Looks a guest up.",
        "inputs": [{ "param": "number", "arg": "id" }],
        "projection": [{ "path": ["guest_records", "full_name"], "leaf": "name" }],
    }))
    .await;
    desk.bind(json!({
        "toolName": "change_guest", "operation": "guest_records.update", "keyColumn": "id", "keyParam": "number",
        "inputs": [
            { "param": "nickname", "arg": "nick", "required": false },
            { "param": "floor", "arg": "floor_no", "required": false },
            { "param": "fixed", "arg": "full_name", "source": "constant", "value": "Ada L." },
        ],
    }))
    .await;
    desk
}

async fn tools(desk: &Desk, format: &str) -> Value {
    let path = format!("/agents/{}/tools?format={format}", desk.agent);
    desk.site.http.get(&path).await.data().clone()
}

fn named<'a>(tools: &'a Value, name: &str) -> &'a Value {
    let mut listed = tools["tools"].as_array().expect("a list").iter();
    listed.find(|tool| tool["definition"]["name"] == name).unwrap_or_else(|| panic!("{name} in {tools}"))
}

async fn published_skills_are_told_in_each_vendors_words(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let none = tools(&desk, "openai").await;
    assert_eq!((&none["version"], &none["tools"]), (&json!(null), &json!([])), "drafts are told to nobody");
    desk.publish().await;
    let all = [tools(&desk, "openai").await, tools(&desk, "anthropic").await, tools(&desk, "mcp").await];
    for tools in &all {
        assert_eq!((&tools["version"], tools["tools"].as_array().map(Vec::len)), (&json!(1), Some(2)));
        let text = tools.to_string();
        for inner in ["guest_records", "full_name", "floor_no", "SELECT", "UPDATE", "fixed", "Ada L."] {
            assert!(!text.contains(inner), "{inner} is in {text}");
        }
    }
    let strict = &named(&all[0], "change_guest")["definition"];
    assert_eq!(strict["parameters"]["required"].as_array().map(Vec::len), Some(3), "{strict}");
    assert_eq!(strict["parameters"]["properties"]["floor"]["type"], json!(["integer", "null"]));
    assert_eq!(named(&all[1], "change_guest")["definition"]["input_schema"]["required"], json!(["number"]));
    let hints = |name: &str| named(&all[2], name)["definition"]["annotations"].clone();
    assert_eq!(hints("find_guest")["readOnlyHint"], true);
    assert_eq!(hints("find_guest")["title"], "find guest");
    assert_eq!(
        (&hints("change_guest")["readOnlyHint"], &hints("change_guest")["destructiveHint"]),
        (&json!(false), &json!(true))
    );

    let answer = desk.call("find_guest", json!({ "number": 1 })).await;
    let schema = &named(&all[2], "find_guest")["definition"]["outputSchema"];
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let misfits: Vec<String> = validator.iter_errors(&answer).map(|it| it.to_string()).collect();
    assert!(misfits.is_empty(), "{misfits:?} in {answer}");
    let mut wrong = answer.clone();
    wrong["rows"][0]["name"] = json!(1);
    assert!(!validator.is_valid(&wrong));
}

/// What a strict schema makes a model send.
async fn a_call_takes_null_for_what_is_left_out(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.publish().await;
    let row = || desk.sql("SELECT full_name, nick, floor_no FROM guest_records").replace('|', "\t");
    let changed = desk.call("change_guest", json!({ "number": 1, "nickname": null, "floor": 4 })).await;
    assert_eq!(changed["outcome"], "ok", "{changed}");
    assert_eq!(row(), "Ada L.\tA\t4", "what is null was left alone");
    let read = desk.call("find_guest", json!({ "number": null })).await;
    assert_eq!((&read["outcome"], &read["code"]), (&json!("invalid_arguments"), &json!("null_not_allowed")));
}

async fn a_digest_and_the_tag_follow_what_is_published(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.publish().await;
    let path = format!("/agents/{}/tools", desk.agent);
    let ask = async || {
        let answer = desk.site.http.get(&path).await;
        (answer.header("etag").expect("a tag").to_owned(), answer.data().clone())
    };
    let (tag, before) = ask().await;
    assert_eq!(ask().await.0, tag, "nothing changed");
    let find = named(&before, "find_guest")["skillId"].as_str().expect("an id").to_owned();
    let skill = format!("/agents/{}/skills/{find}", desk.agent);
    desk.site.http.patch(&skill, json!({ "description": "Finds a guest." })).await.data();
    assert_eq!(ask().await.0, tag, "a draft changes nothing");
    desk.publish().await;
    let (next, after) = ask().await;
    assert_ne!(next, tag);
    assert_ne!(named(&after, "find_guest")["digest"], named(&before, "find_guest")["digest"]);
    assert_eq!(named(&after, "change_guest")["digest"], named(&before, "change_guest")["digest"]);

    let scoping = format!("/integrations/{kind}/scoping");
    let blocked = json!({ "blockedColumns": { "guest_records": ["floor_no"] } });
    desk.site.http.patch(&scoping, blocked).await.data();
    let (last, left) = ask().await;
    assert_ne!(last, next);
    assert_eq!(left["quarantined"], json!(["change_guest"]), "it is named and left out: {left}");
    assert_eq!(left["tools"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn published_skills_are_told_in_each_vendors_words_on_postgres() {
    published_skills_are_told_in_each_vendors_words(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_skills_are_told_in_each_vendors_words_on_mariadb() {
    published_skills_are_told_in_each_vendors_words(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_null_for_what_is_left_out_on_postgres() {
    a_call_takes_null_for_what_is_left_out(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_null_for_what_is_left_out_on_mariadb() {
    a_call_takes_null_for_what_is_left_out(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_and_the_tag_follow_what_is_published_on_postgres() {
    a_digest_and_the_tag_follow_what_is_published(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_format_is_refused() {
    let desk = Desk::open(IntegrationKind::Postgres, SQL).await;
    let refused = desk.site.http.get(&format!("/agents/{}/tools?format=grpc", desk.agent)).await;
    assert_eq!(
        (refused.refusal(400), &refused.body["errors"][0]["field"]),
        ("validation_error", &json!("format"))
    );
}
