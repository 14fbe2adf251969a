//! What the agent must never see.

use super::{Desk, each, text};
use events::IntegrationKind;
use serde_json::{Value, json};

on_both_engines!(
    blocking_a_table_stops_every_skill_that_touches_it_and_no_other,
    blocked_names_are_shown_nowhere,
    a_typo_is_refused_with_the_nearest_names_unless_it_is_wanted,
    each_part_that_is_present_replaces_what_was_there,
    scoping_survives_a_discovery_and_a_reconnect,
    binding_to_what_is_blocked_is_refused,
    unblocking_alone_brings_nothing_back,
);

fn with_doctor(tool: &str) -> Value {
    let mut binding = super::lookup(tool, &["full_name"]);
    let doctor = json!({ "path": ["primary_practitioner", "last_name"], "leaf": "doctor" });
    binding["projection"].as_array_mut().expect("a list").push(doctor);
    binding
}

async fn blocking_a_table_stops_every_skill_that_touches_it_and_no_other(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let joined = desk.bind(with_doctor("with_doctor")).await;
    desk.bind_lookup("alone", &["full_name"]).await;
    desk.publish().await;
    let draft = desk.bind(with_doctor("draft_with_doctor")).await;
    let scoped = desk.scope(json!({ "blockedTables": ["practitioners"] })).await;
    let mut stopped = each(&scoped["quarantinedSkills"], "skillId");
    stopped.sort();
    let mut expected = [joined.as_str(), draft.as_str()];
    expected.sort();
    assert_eq!(stopped, expected);
    let reason = "The statement uses `practitioners`, which is blocked.";
    assert_eq!(each(&scoped["quarantinedSkills"], "reason"), [reason, reason]);
    assert_eq!(desk.outcome("with_doctor").await, "refused skill_quarantined");
    assert_eq!(desk.outcome("alone").await, "ok");
    let events = desk.http().get("/events?types=SkillsQuarantined").await;
    assert_eq!(events.data().as_array().map(Vec::len), Some(1), "one event, however long the list");
    let again = desk.scope(json!({ "blockedTables": ["practitioners"] })).await;
    assert_eq!(again["quarantinedSkills"], json!([]), "it is told once");
}

async fn blocked_names_are_shown_nowhere(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let paths = [
        "/schema?limit=100",
        "/objects?limit=100",
        "/objects?q=practitioner",
        "/search?q=practitioners&limit=100",
        "/search?q=social+security+number&limit=100",
        "/search?q=ssn&limit=100",
        "/search?q=doctor&limit=100",
    ];
    let shown = async |needle: &str| {
        let mut places = Vec::new();
        for path in paths {
            let answer = desk.http().get(&desk.integration(path)).await;
            // As a name: the path of the request is not in the answer, other names may hold the word.
            if answer.data().to_string().contains(&format!("\"{needle}\"")) {
                places.push(path);
            }
        }
        places
    };
    assert!(shown("practitioners").await.len() >= 4 && shown("ssn").await.len() >= 2, "before");
    desk.scope(json!({ "blockedTables": ["practitioners"], "blockedColumns": { "patients": ["ssn"] } }))
        .await;
    for needle in ["practitioners", "practitioners.read", "ssn", "primary_practitioner"] {
        assert_eq!(shown(needle).await, Vec::<&str>::new(), "{needle}");
    }
    let schema = desk.http().get(&desk.integration("/schema?limit=100")).await;
    let objects = schema.data()["objects"].as_array().expect("objects");
    for object in objects {
        assert!(each(&object["relationships"], "target").iter().all(|target| *target != "practitioners"));
        let unique = object["uniqueKeys"].to_string();
        assert!(!unique.contains("ssn"), "{unique}");
    }
    // Nor are they told to who guesses wrongly.
    let mut binding = super::lookup("find", &["sssn"]);
    binding["projection"][0]["leaf"] = json!("number");
    let refused = desk.try_bind(binding).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.body["errors"].to_string().contains("\"ssn\""), "{}", refused.text);
}

async fn a_typo_is_refused_with_the_nearest_names_unless_it_is_wanted(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let typo = json!({
        "blockedTables": ["invoice_line"],
        "blockedColumns": { "patients": ["snn", "email"], "patient": ["ssn"] },
    });
    let refused = desk.try_scope(typo.clone()).await;
    assert_eq!(refused.refusal(422), "unknown_scoping_target");
    let errors = &refused.body["errors"];
    assert_eq!(
        each(errors, "field"),
        ["blockedTables.invoice_line", "blockedColumns.patient", "blockedColumns.patients.snn"]
    );
    for (at, nearest) in ["invoice_lines", "patients", "ssn"].iter().enumerate() {
        assert_eq!(&errors[at]["nearest"][0], nearest, "{errors}");
    }
    let scoping = desk.http().get(&desk.integration("/scoping")).await;
    assert_eq!(scoping.data(), &json!({ "blockedTables": [], "blockedColumns": {} }), "nothing was changed");
    let mut wanted = typo;
    wanted["allowUnknown"] = json!(true);
    let scoped = desk.scope(wanted).await;
    assert_eq!(scoped["blockedTables"], json!(["invoice_line"]));
    assert_eq!(scoped["blockedColumns"]["patients"], json!(["email", "snn"]));
}

async fn each_part_that_is_present_replaces_what_was_there(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.scope(json!({ "blockedTables": ["invoices"], "blockedColumns": { "patients": ["ssn"] } })).await;
    let scoped = desk.scope(json!({ "blockedTables": ["services"] })).await;
    assert_eq!(scoped["blockedTables"], json!(["services"]));
    assert_eq!(scoped["blockedColumns"], json!({ "patients": ["ssn"] }));
    let scoped = desk.scope(json!({ "blockedColumns": { "locations": ["phone"] } })).await;
    assert_eq!(scoped["blockedColumns"], json!({ "locations": ["phone"] }));
    let scoped = desk.scope(json!({})).await;
    assert_eq!(scoped["blockedTables"], json!(["services"]), "an empty patch changes nothing");
    let scoped = desk.scope(json!({ "blockedTables": [], "blockedColumns": {} })).await;
    assert_eq!((&scoped["blockedTables"], &scoped["blockedColumns"]), (&json!([]), &json!({})));
    let unknown = desk.try_scope(json!({ "blockedTabels": [] })).await;
    assert_eq!(unknown.refusal(400), "validation_error");
    assert_eq!(each(&unknown.body["errors"], "field"), ["blockedTabels"]);
}

async fn scoping_survives_a_discovery_and_a_reconnect(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let wanted = json!({ "blockedTables": ["invoices"], "blockedColumns": { "patients": ["ssn"] } });
    desk.scope(wanted.clone()).await;
    desk.sql("ALTER TABLE locations ADD COLUMN wing varchar(10)");
    desk.discover().await;
    desk.http().delete(&desk.integration("")).await.data();
    desk.try_connect(&desk.engine.owner(&desk.database)).await.data();
    desk.discover().await;
    assert_eq!(desk.http().get(&desk.integration("/scoping")).await.data(), &wanted);
    let objects = desk.http().get(&desk.integration("/objects?limit=100")).await;
    assert!(!each(objects.data(), "name").contains(&"invoices"));
}

async fn binding_to_what_is_blocked_is_refused(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.scope(
        json!({ "blockedTables": ["practitioners"], "blockedColumns": { "patients": ["ssn", "phone"] } }),
    )
    .await;
    let by_mail = |column: &str| {
        let mut binding = super::lookup("find", &[column]);
        binding["inputs"] = json!([{ "param": "email", "arg": "email" }]);
        binding
    };
    let mut hidden_join = by_mail("full_name");
    hidden_join["projection"][0]["path"][0] = json!("primary_practitioner");
    let mut hidden_order = by_mail("full_name");
    hidden_order["orderBy"] = json!([{ "column": "ssn" }]);
    let whole = json!({
        "toolName": "doctors", "operation": "practitioners.read",
        "inputs": [{ "param": "id", "arg": "id" }],
        "projection": [{ "path": ["practitioners", "last_name"], "leaf": "name" }],
    });
    for binding in [by_mail("ssn"), super::lookup("find", &["full_name"]), hidden_join, hidden_order, whole] {
        let refused = desk.try_bind(binding.clone()).await;
        assert_eq!(refused.refusal(422), "column_blocked", "{binding}: {}", refused.text);
    }
    assert_eq!(desk.try_bind(by_mail("full_name")).await.status, 201);
}

async fn unblocking_alone_brings_nothing_back(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("mail", &["email"]).await;
    desk.publish().await;
    desk.scope(json!({ "blockedColumns": { "patients": ["email"] } })).await;
    let enabled = desk.patch(&skill, json!({ "isEnabled": true })).await;
    assert_eq!(enabled.refusal(422), "column_blocked");
    desk.scope(json!({ "blockedColumns": {} })).await;
    desk.discover().await;
    assert_eq!(desk.outcome("mail").await, "refused skill_quarantined");
    assert_eq!(text(&desk.skill(&skill).await["status"]), "quarantined");
    let enabled = desk.patch(&skill, json!({ "isEnabled": true })).await;
    assert_eq!(enabled.data()["status"], "published");
    assert_eq!(desk.outcome("mail").await, "ok");
}
