//! From a goal to a draft, without any service, and what a goal can never do.

mod assisted;
mod stub;

use crate::desk::Desk;
use crate::engines::{Engine, engine};
use crate::http::Answer;
use crate::site::Site;
use events::IntegrationKind;
use serde_json::{Value, json};

/// A patient of the sample clinic.
const PHONE: &str = "+12025550142";
const GOAL: &str = "Let callers look up a patient by phone number";

/// The sample clinic and an agent without skills, on a server where every endpoint has its grants and no others.
struct Clinic {
    site: Site,
    engine: &'static Engine,
    database: String,
    agent: String,
}

impl Clinic {
    async fn open(kind: IntegrationKind, variables: &[(&str, &str)]) -> Self {
        let (site, engine) = (Site::start_granted(variables).await, engine(kind));
        let database = engine.clinic();
        site.connect(&site.http, engine, &database).await;
        let agent = site.agent(&site.http).await;
        Self { site, engine, database, agent }
    }

    async fn ask(&self, body: Value) -> Answer {
        let path = format!("/agents/{}/integrations/{}/bindings/auto", self.agent, self.engine.kind);
        self.site.http.post(&path, body).await
    }

    async fn skills(&self) -> Vec<Value> {
        let skills = self.site.http.get(&format!("/agents/{}/skills", self.agent)).await;
        skills.data().as_array().expect("a list").clone()
    }
}

/// Binds by a goal, reviews, publishes and calls.
async fn a_goal_becomes_a_tool_once_a_person_has_reviewed_it(kind: IntegrationKind) {
    let clinic = Clinic::open(kind, &[]).await;
    let answer = clinic.ask(json!({ "goal": GOAL })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let (proposal, skill) = (&answer.data()["proposal"], &answer.data()["skill"]);
    assert_eq!(answer.data()["assistant"], json!({ "provider": "embedded" }));
    assert_eq!(proposal["operation"], "patients.read", "{}", answer.text);
    assert_eq!((&skill["isEnabled"], &skill["status"]), (&json!(false), &json!("draft")));
    assert!(answer.data()["rationale"].as_array().is_some_and(|lines| !lines.is_empty()), "{}", answer.text);
    assert!(answer.data()["confidence"].as_f64().is_some_and(|it| (0.0..=1.0).contains(&it)));
    let (http, agent) = (&clinic.site.http, &clinic.agent);
    let published = http.post(&format!("/agents/{agent}/publish"), json!({})).await;
    assert_eq!(published.code(), "nothing_to_publish", "nobody has reviewed it yet");
    let path = format!("/agents/{agent}/skills/{}", skill["id"].as_str().expect("an id"));
    http.patch(&path, json!({ "isEnabled": true })).await.data();
    http.post(&format!("/agents/{agent}/publish"), json!({})).await.data();
    let input = &proposal["inputs"][0];
    assert_eq!(input["arg"], "phone", "{proposal}");
    let call = match input["source"].as_str() {
        Some("caller") => json!({ "arguments": {}, "context": { "callerPhone": PHONE } }),
        _ => json!({ "arguments": { input["param"].as_str().expect("a name"): PHONE } }),
    };
    let tool = skill["tool"].as_str().expect("a name");
    let called = http.post(&format!("/agents/{agent}/skills/{tool}/call"), call).await;
    assert_eq!(
        (&called.data()["outcome"], &called.data()["rowCount"]),
        (&json!("ok"), &json!(1)),
        "{}",
        called.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_a_tool_once_a_person_has_reviewed_it_on_postgres() {
    a_goal_becomes_a_tool_once_a_person_has_reviewed_it(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_a_tool_once_a_person_has_reviewed_it_on_mariadb() {
    a_goal_becomes_a_tool_once_a_person_has_reviewed_it(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_proposal_is_a_body_that_bindings_takes() {
    let clinic = Clinic::open(IntegrationKind::Postgres, &[]).await;
    let answer = clinic.ask(json!({ "goal": GOAL, "save": false })).await;
    assert_eq!(answer.status, 200, "nothing was created: {}", answer.text);
    assert!(answer.data()["skill"].is_null() && clinic.skills().await.is_empty());
    let alternatives = answer.data()["alternatives"].as_array().expect("a list");
    let mut proposals: Vec<&Value> = alternatives.iter().map(|it| &it["proposal"]).collect();
    proposals.push(&answer.data()["proposal"]);
    let path = format!("/agents/{}/integrations/{}/bindings", clinic.agent, clinic.engine.kind);
    for (at, proposal) in proposals.into_iter().enumerate() {
        let mut body = proposal.clone();
        body["toolName"] = json!(format!("proposal_{at}"));
        let bound = clinic.site.http.post(&path, body).await;
        assert_eq!((bound.status, &bound.body["data"]["isEnabled"]), (201, &json!(false)), "{}", bound.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_goal_makes_one_skill_and_the_next_one_gets_a_name_of_its_own() {
    let clinic = Clinic::open(IntegrationKind::Postgres, &[]).await;
    let (http, body) = (&clinic.site.http, json!({ "goal": GOAL }));
    let path = format!("/agents/{}/integrations/postgres/bindings/auto", clinic.agent);
    let first = http.send("POST", &path, Some(&body), &[("Idempotency-Key", "a-goal")]).await;
    let again = http.send("POST", &path, Some(&body), &[("Idempotency-Key", "a-goal")]).await;
    assert_eq!((first.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(first.text, again.text);
    let second = clinic.ask(body).await;
    let tool = first.data()["skill"]["tool"].as_str().expect("a name");
    assert_eq!(second.data()["skill"]["tool"], format!("{tool}_2"));
    assert_eq!(second.data()["proposal"]["toolName"], format!("{tool}_2"));
    assert_eq!(clinic.skills().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_proposed_only_where_it_is_allowed_and_lands_disabled() {
    let notes =
        "CREATE TABLE notes (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL)";
    let desk = Desk::open(IntegrationKind::Postgres, notes).await;
    let path = format!("/agents/{}/integrations/postgres/bindings/auto", desk.agent);
    let goal = "Add a new note with its body";
    let refused = desk.site.http.post(&path, json!({ "goal": goal })).await;
    assert_eq!((refused.status, refused.code()), (422, "no_binding_found"), "{}", refused.text);
    let allowed = desk.site.http.post(&path, json!({ "goal": goal, "allowWrite": true })).await;
    let skill = &allowed.data()["skill"];
    assert_eq!(allowed.data()["proposal"]["operation"], "notes.insert", "{}", allowed.text);
    assert_eq!((&skill["isWrite"], &skill["isEnabled"]), (&json!(true), &json!(false)));
    assert_eq!(skill["requiresConfirmation"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_serves_is_refused_with_what_comes_nearest_and_a_long_goal_with_its_limit() {
    let clinic = Clinic::open(IntegrationKind::Postgres, &[]).await;
    let none = clinic.ask(json!({ "goal": "Order a pizza with extra cheese", "allowWrite": true })).await;
    assert_eq!((none.status, none.code()), (422, "no_binding_found"), "{}", none.text);
    assert_eq!(none.body["errors"][0]["field"], "goal");
    let long = clinic.ask(json!({ "goal": "find a patient ".repeat(1000) })).await;
    assert_eq!((long.status, &long.body["errors"][0]["code"]), (400, &json!("too_long")), "{}", long.text);
    let unknown = clinic.ask(json!({ "goal": GOAL, "enabled": true })).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["field"]), (400, &json!("enabled")));
    assert!(clinic.skills().await.is_empty());
}
