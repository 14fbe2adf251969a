//! How well the platform knows who calls, and how well a skill wants them known.

use super::desk;
use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};

impl Desk {
    async fn skill(&self, tool: &str) -> Value {
        let listed = self.site.http.get(&format!("/agents/{}/skills", self.agent)).await;
        let skills = listed.data().as_array().expect("a list").clone();
        skills.into_iter().find(|skill| skill["tool"] == tool).expect("it is listed")
    }

    async fn review(&self, tool: &str, review: Value) -> crate::http::Answer {
        let id = self.skill(tool).await["id"].as_str().expect("an id").to_owned();
        self.site.http.patch(&format!("/agents/{}/skills/{id}", self.agent), review).await
    }
}

/// What a skill requires of its callers.
fn required(skill: &Value) -> (&Value, &Value) {
    (&skill["requiresVerifiedIdentity"], &skill["requiredIdentityLevel"])
}

async fn a_call_below_the_level_that_a_skill_requires_is_refused(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let identities = [
        (json!(null), 0),
        (json!(false), 0),
        (json!(" "), 0),
        (json!(true), 1),
        (json!("guest 1"), 1),
        (json!({ "level": 1 }), 1),
        (json!({ "level": 2, "name": "guest 1" }), 2),
        (json!({ "level": 3, "name": null }), 3),
    ];
    for level in 1..=3 {
        let reviewed = desk.review("find_guest", json!({ "requiredIdentityLevel": level })).await;
        assert_eq!(required(reviewed.data()), (&json!(true), &json!(level)));
        desk.publish().await;
        for (identity, known) in &identities {
            let context = json!({ "verifiedIdentity": identity });
            let answer = desk.call_in("find_guest", json!({ "number": 1 }), context).await;
            let (outcome, code) = match known {
                0 => ("refused", json!("identity_required")),
                known if *known < level => ("refused", json!("identity_level_too_low")),
                _ => ("ok", json!(null)),
            };
            assert_eq!(
                (&answer["outcome"], &answer["code"]),
                (&json!(outcome), &code),
                "{identity} where {level} is required"
            );
            assert_eq!(answer["say"].is_string(), outcome == "refused");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_below_the_level_that_a_skill_requires_is_refused_on_postgres() {
    a_call_below_the_level_that_a_skill_requires_is_refused(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_below_the_level_that_a_skill_requires_is_refused_on_mariadb() {
    a_call_below_the_level_that_a_skill_requires_is_refused(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_chosen_when_a_skill_is_bound_and_changed_when_it_is_reviewed() {
    let desk = desk(IntegrationKind::Postgres).await;
    let update = |name: &str, level: Value| {
        let mut body = json!({
            "toolName": name, "operation": "guests.update", "keyColumn": "id", "keyParam": "number",
            "inputs": [{ "param": "note", "arg": "note" }],
        });
        if !level.is_null() {
            body["requiredIdentityLevel"] = level;
        }
        body
    };
    let usual = desk.try_bind(update("usual", json!(null))).await;
    assert_eq!(required(usual.data()), (&json!(true), &json!(1)), "an update wants to know its caller");
    let strict = desk.try_bind(update("strict", json!(3))).await;
    assert_eq!(required(strict.data()), (&json!(true), &json!(3)));
    for (review, then) in [
        (json!({ "requiresVerifiedIdentity": true }), (true, json!(3))),
        (json!({ "requiredIdentityLevel": 2 }), (true, json!(2))),
        (json!({ "requiresVerifiedIdentity": false }), (false, json!(null))),
        (json!({ "requiresVerifiedIdentity": true }), (true, json!(1))),
        (json!({ "requiresVerifiedIdentity": true, "requiredIdentityLevel": 2 }), (true, json!(2))),
    ] {
        let reviewed = desk.review("strict", review.clone()).await;
        assert_eq!(required(reviewed.data()), (&json!(then.0), &then.1), "{review}");
    }
    let torn = json!({ "requiresVerifiedIdentity": false, "requiredIdentityLevel": 2, "limit": 101 });
    let refused = desk.review("find_guest", torn).await;
    assert_eq!(refused.refusal(422), "binding_invalid");
    let fields: Vec<_> =
        refused.body["errors"].as_array().expect("all").iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["requiredIdentityLevel", "limit"]);
    for (level, code) in
        [(json!(0), "out_of_range"), (json!(4), "out_of_range"), (json!("high"), "wrong_type")]
    {
        let refused = desk.review("find_guest", json!({ "requiredIdentityLevel": level })).await;
        assert_eq!(refused.refusal(400), "validation_error");
        let error = &refused.body["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!("requiredIdentityLevel"), &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_identity_is_named_inside_of_it() {
    let desk = desk(IntegrationKind::Postgres).await;
    for (identity, field, code) in [
        (json!({ "level": 4 }), "context.verifiedIdentity.level", "out_of_range"),
        (json!({ "level": 0 }), "context.verifiedIdentity.level", "out_of_range"),
        (json!({ "name": "guest 1" }), "context.verifiedIdentity.level", "required"),
        (json!({ "level": 1, "nmae": "x" }), "context.verifiedIdentity.nmae", "unknown_field"),
        (json!(2), "context.verifiedIdentity", "wrong_type"),
    ] {
        let body = json!({ "arguments": { "number": 1 }, "context": { "verifiedIdentity": identity } });
        let refused = desk.send("find_guest", body, &[]).await;
        assert_eq!(refused.status, 400, "{identity}: {}", refused.text);
        let error = &refused.body["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)), "{identity}");
    }
}

/// Whoever looks at a version, at its history or at what a publish would do sees the level.
#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_shown_wherever_a_skill_is() {
    let desk = desk(IntegrationKind::Postgres).await;
    let http = &desk.site.http;
    desk.review("find_guest", json!({ "requiredIdentityLevel": 2 })).await.data();
    let report = http.get(&format!("/agents/{}/prepublish-report", desk.agent)).await;
    let skills = report.data()["skills"].as_array().expect("skills").clone();
    let reported = skills.iter().find(|skill| skill["tool"] == "find_guest").expect("it is reported");
    assert_eq!(required(reported), (&json!(true), &json!(2)));

    let published = http.post(&format!("/agents/{}/publish", desk.agent), json!({})).await;
    let version = published.data()["id"].as_str().expect("an id").to_owned();
    let compiled = published.data()["compiledConfig"]["skills"].as_array().expect("skills").clone();
    let compiled = compiled.iter().find(|skill| skill["tool"] == "find_guest").expect("it is compiled");
    assert_eq!(required(compiled), (&json!(true), &json!(2)));
    let diff = http.get(&format!("/agents/{}/versions/{version}/diff", desk.agent)).await;
    let changes = diff.data()["changes"].to_string();
    assert!(changes.contains("skills.find_guest.requiredIdentityLevel"), "{changes}");

    let events = http.get("/events?limit=100&types=BindingRevised").await;
    let revised = events.data().as_array().expect("events").last().expect("one").clone();
    assert_eq!(revised["data"]["definition"]["requiredIdentityLevel"], 2);
    let seq = revised["seq"].as_u64().expect("a position");
    let told = http.get(&format!("/audit/diff?from={}&to={seq}", seq - 1)).await;
    let words = told.data().to_string();
    assert!(words.contains("for callers verified at level 2"), "{words}");
}
