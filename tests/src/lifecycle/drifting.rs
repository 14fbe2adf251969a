//! A customer's schema that changes under published skills.

use super::{Desk, each};
use events::IntegrationKind;
use serde_json::json;

on_both_engines!(
    a_dropped_column_stops_the_skills_that_use_it_and_no_other,
    a_changed_type_and_a_lost_index_stop_what_relied_on_them,
    a_lost_key_and_a_lost_table_stop_what_relied_on_them,
    what_drifted_runs_again_only_after_a_person_said_so,
);

async fn a_dropped_column_stops_the_skills_that_use_it_and_no_other(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let mail = desk.bind_lookup("mail", &["email"]).await;
    desk.bind_lookup("name", &["full_name"]).await;
    desk.publish().await;
    desk.sql("ALTER TABLE patients DROP COLUMN email; CREATE TABLE notes (id int PRIMARY KEY)");
    if kind == IntegrationKind::Postgres {
        // On MariaDB the user's grant is on the whole database.
        desk.sql("GRANT SELECT ON notes TO PUBLIC");
    }
    let found = desk.discover().await;
    assert_eq!(found["changes"]["added"], json!(["notes"]));
    assert_eq!(found["changes"]["removed"], json!(["patients.email"]));
    assert_eq!((&found["changes"]["addedCount"], &found["changes"]["removedCount"]), (&json!(1), &json!(1)));
    assert_eq!(each(&found["quarantinedSkills"], "skillId"), [mail.as_str()]);
    assert_eq!(each(&found["quarantinedSkills"], "reason"), ["`patients.email` is gone."]);
    assert_eq!(each(&found["quarantinedSkills"], "agentId"), [desk.agent.as_str()]);
    assert_eq!(each(&found["quarantinedSkills"], "cause"), ["drifted"]);
    let remedy = each(&found["quarantinedSkills"], "remedy")[0];
    assert!(remedy.contains("discover again") && remedy.contains("isEnabled"), "{remedy}");
    let report = desk.http().get(&desk.desk("/prepublish-report")).await.data().clone();
    let blocker = &report["skills"].as_array().expect("skills").iter().find(|it| it["tool"] == "mail");
    let blocker = &blocker.expect("it is reported")["blockedBy"];
    assert_eq!((&blocker["code"], &blocker["remedy"]), (&json!("schema_drifted"), &json!(remedy)));
    assert_eq!(desk.outcome("mail").await, "refused skill_quarantined");
    assert_eq!(desk.outcome("name").await, "ok");
    let skill = desk.skill(&mail).await;
    assert_eq!(
        (&skill["status"], &skill["quarantineReason"]),
        (&json!("quarantined"), &json!("`patients.email` is gone."))
    );
    let again = desk.discover().await;
    assert_eq!(again["quarantinedSkills"], json!([]), "it is told once");
    assert_eq!(again["schemaHash"], found["schemaHash"]);
}

async fn a_changed_type_and_a_lost_index_stop_what_relied_on_them(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let typed = desk.bind_lookup("typed", &["email"]).await;
    let by_name = json!({
        "toolName": "by_name", "operation": "patients.read",
        "inputs": [{ "param": "last_name", "arg": "last_name" }],
        "projection": [{ "path": ["patients", "phone"], "leaf": "phone" }],
    });
    let indexed = desk.bind(by_name).await;
    desk.publish().await;
    desk.sql(match kind {
        IntegrationKind::Postgres => {
            "ALTER TABLE patients ALTER COLUMN email TYPE varchar(200); DROP INDEX patients_last_name"
        }
        IntegrationKind::Mysql => {
            "ALTER TABLE patients MODIFY email varchar(200); ALTER TABLE patients DROP INDEX patients_last_name"
        }
    });
    let found = desk.discover().await;
    let mut reasons = each(&found["quarantinedSkills"], "reason");
    reasons.sort();
    assert_eq!(reasons.len(), 2, "{found}");
    assert_eq!(reasons[0], "No index leads with `patients.last_name` any more.");
    assert!(reasons[1].starts_with("`patients.email` was "), "{reasons:?}");
    for skill in [typed, indexed] {
        assert_eq!(desk.skill(&skill).await["status"], "quarantined");
    }
}

async fn a_lost_key_and_a_lost_table_stop_what_relied_on_them(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let reprice = json!({
        "toolName": "reprice", "operation": "services.update", "keyColumn": "code", "keyParam": "code",
        "inputs": [{ "param": "name", "arg": "name" }],
    });
    desk.bind(reprice).await;
    let claims = json!({
        "toolName": "claim", "operation": "insurance_claims.read",
        "inputs": [{ "param": "number", "arg": "claim_number" }],
        "projection": [{ "path": ["insurance_claims", "claim_number"], "leaf": "number" }],
    });
    desk.bind(claims).await;
    desk.bind_lookup("name", &["full_name"]).await;
    desk.publish().await;
    desk.sql(match kind {
        IntegrationKind::Postgres => {
            "ALTER TABLE services DROP CONSTRAINT services_code_key; DROP TABLE insurance_claims CASCADE"
        }
        IntegrationKind::Mysql => "ALTER TABLE services DROP INDEX code; DROP TABLE insurance_claims",
    });
    let found = desk.discover().await;
    let stopped = &found["quarantinedSkills"];
    let mut reasons: Vec<_> = each(stopped, "toolName").into_iter().zip(each(stopped, "reason")).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [("claim", "`insurance_claims` is gone."), ("reprice", "`services.code` is no longer unique.")]
    );
    let write = json!({ "arguments": { "code": "CHECK", "name": "x" } });
    let refused = desk.http().post(&desk.desk("/skills/reprice/call"), write).await;
    assert_eq!(refused.data()["code"], "skill_quarantined");
    assert_eq!(desk.outcome("name").await, "ok");
}

async fn what_drifted_runs_again_only_after_a_person_said_so(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let mail = desk.bind_lookup("mail", &["email"]).await;
    desk.publish().await;
    desk.sql("ALTER TABLE patients DROP COLUMN email");
    desk.discover().await;
    let early = desk.patch(&mail, json!({ "isEnabled": true })).await;
    assert_eq!(early.status, 422, "it cannot run: {}", early.text);
    desk.sql("ALTER TABLE patients ADD COLUMN email varchar(120)");
    desk.discover().await;
    assert_eq!(desk.outcome("mail").await, "refused skill_quarantined");
    desk.patch(&mail, json!({ "isEnabled": true })).await.data();
    assert_eq!(desk.outcome("mail").await, "ok");
}
