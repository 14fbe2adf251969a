//! Versions: what they freeze, how they differ, and what keeps one from going live.

use super::{Desk, PHONE, each, lookup, text};
use events::IntegrationKind;
use serde_json::{Value, json};

on_both_engines!(
    a_draft_never_serves_a_live_call,
    a_publish_that_is_blocked_lists_every_skill_that_does_not_fit,
    rollback_points_calls_at_the_older_version_at_once,
    rollback_to_what_todays_scoping_blocks_is_refused,
    the_diff_of_two_versions_shows_how_statements_changed,
    the_prepublish_report_says_what_a_skill_reads_writes_and_lacks,
    a_trigger_that_came_after_the_binding_is_in_the_report,
    a_repeated_publish_makes_one_version_with_its_note,
    a_removed_skill_serves_until_the_next_publish_and_its_name_is_free,
);

async fn a_draft_never_serves_a_live_call(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name"]).await;
    let path = desk.desk("/skills/find/call");
    let call = json!({ "arguments": { "phone": PHONE } });
    assert_eq!(desk.http().post(&path, call.clone()).await.refusal(409), "no_published_version");
    desk.publish().await;
    desk.bind_lookup("later", &["full_name"]).await;
    let later = desk.http().post(&desk.desk("/skills/later/call"), call.clone()).await;
    assert_eq!(later.refusal(404), "not_found", "it was bound after the publish");
    desk.patch(&skill, json!({ "toolName": "renamed", "limit": 1, "isEnabled": false })).await.data();
    assert_eq!(desk.outcome("find").await, "ok", "the version is what it was");
    assert_eq!(desk.outcome(&skill).await, "ok", "by its id too");
    let renamed = desk.http().post(&desk.desk("/skills/renamed/call"), call.clone()).await;
    assert_eq!(renamed.refusal(404), "not_found");
    let draft = json!({ "arguments": { "phone": PHONE }, "draftMode": true });
    let drafted = desk.http().post(&desk.desk("/skills/renamed/call"), draft).await;
    assert_eq!((&drafted.data()["outcome"], &drafted.data()["version"]), (&json!("ok"), &json!(null)));
    let tested = desk.http().post(&desk.desk(&format!("/skills/{skill}/test")), call).await;
    assert_eq!(tested.data()["rows"], drafted.data()["rows"]);
}

async fn a_publish_that_is_blocked_lists_every_skill_that_does_not_fit(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    assert_eq!(desk.try_publish().await.refusal(409), "nothing_to_publish");
    for (tool, column) in [("blocked", "ssn"), ("drifted", "email"), ("fine", "full_name")] {
        desk.bind_lookup(tool, &[column]).await;
    }
    desk.scope(json!({ "blockedColumns": { "patients": ["ssn"] } })).await;
    desk.sql("ALTER TABLE patients DROP COLUMN email");
    desk.discover().await;
    let refused = desk.try_publish().await;
    assert_eq!(refused.refusal(409), "publish_blocked");
    let errors = &refused.body["errors"];
    let mut listed: Vec<_> = each(errors, "field").into_iter().zip(each(errors, "code")).collect();
    listed.sort();
    assert_eq!(listed, [("skills.blocked", "column_blocked"), ("skills.drifted", "schema_drifted")]);
    desk.http().delete(&desk.integration("")).await.data();
    let refused = desk.try_publish().await;
    assert_eq!(refused.refusal(409), "publish_blocked", "whatever the skills share: {}", refused.text);
    assert_eq!(refused.body["errors"].as_array().map(Vec::len), Some(3));
    assert_eq!(desk.http().get(&desk.desk("/versions")).await.data(), &json!([]));
}

async fn rollback_points_calls_at_the_older_version_at_once(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name", "phone"]).await;
    let first = desk.publish().await;
    desk.http().delete(&desk.desk(&format!("/skills/{skill}"))).await.data();
    desk.bind_lookup("find", &["full_name"]).await;
    let second = desk.publish().await;
    let row = async || desk.call("find", json!({ "phone": PHONE })).await;
    let (answer, columns) =
        (row().await, |answer: &Value| answer["rows"][0].as_object().map(|row| row.len()));
    assert_eq!((&answer["version"], columns(&answer)), (&json!(2), Some(1)));
    let back = desk.http().post(&desk.desk("/rollback"), json!({ "versionId": first })).await;
    assert_eq!((&back.data()["version"], &back.data()["live"]), (&json!(1), &json!(true)));
    let answer = row().await;
    assert_eq!(
        (&answer["version"], columns(&answer)),
        (&json!(1), Some(2)),
        "what was removed since serves again"
    );
    let versions = desk.http().get(&desk.desk("/versions")).await;
    assert_eq!(each(versions.data(), "id"), [second.as_str(), first.as_str()], "newest first");
    assert_eq!((&versions.data()[0]["live"], &versions.data()[1]["live"]), (&json!(false), &json!(true)));
    let third = desk.publish().await;
    let versions = desk.http().get(&desk.desk("/versions")).await;
    assert_eq!((&versions.data()[0]["id"], &versions.data()[0]["version"]), (&json!(third), &json!(3)));
}

async fn rollback_to_what_todays_scoping_blocks_is_refused(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let mail = desk.bind_lookup("mail", &["email"]).await;
    let first = desk.publish().await;
    desk.http().delete(&desk.desk(&format!("/skills/{mail}"))).await.data();
    desk.bind_lookup("name", &["full_name"]).await;
    desk.publish().await;
    desk.scope(json!({ "blockedColumns": { "patients": ["email"] } })).await;
    let refused = desk.http().post(&desk.desk("/rollback"), json!({ "versionId": first })).await;
    assert_eq!(refused.refusal(409), "publish_blocked");
    assert_eq!(each(&refused.body["errors"], "field"), ["skills.mail"]);
    assert_eq!(each(&refused.body["errors"], "code"), ["column_blocked"]);
    let message = each(&refused.body["errors"], "message")[0];
    assert_eq!(message, "The statement uses `patients.email`, which is blocked.");
    assert_eq!(desk.outcome("name").await, "ok", "the newer version serves on");
}

async fn the_diff_of_two_versions_shows_how_statements_changed(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name"]).await;
    let first = desk.publish().await;
    let before = text(&desk.skill(&skill).await["executionConfig"]["statement"]);
    desk.patch(&skill, json!({ "limit": 2, "description": "Two of them." })).await.data();
    let after = text(&desk.skill(&skill).await["executionConfig"]["statement"]);
    assert_ne!(before, after);
    desk.bind_lookup("more", &["phone"]).await;
    let second = desk.publish().await;
    let diff = desk.http().get(&desk.desk(&format!("/versions/{second}/diff"))).await;
    assert_eq!((&diff.data()["from"], &diff.data()["to"]), (&json!(first), &json!(second)));
    let changes = diff.data()["changes"].as_array().expect("changes");
    let change = |field: &str| changes.iter().find(|change| change["field"] == field).expect("it is listed");
    let statement = change("skills.find.executionConfig.statement");
    assert_eq!((&statement["before"], &statement["after"]), (&json!(before), &json!(after)));
    assert_eq!(statement["kind"], "changed");
    assert_eq!(change("skills.find.description")["after"], "Two of them.");
    assert_eq!(
        change("skills.more.tool"),
        &json!({
            "field": "skills.more.tool", "before": null, "after": "more", "kind": "added",
        })
    );
    let back = desk.http().get(&desk.desk(&format!("/versions/{first}/diff?against={second}"))).await;
    let removed = back.data()["changes"].as_array().expect("changes").iter();
    assert!(removed.filter(|change| change["field"] == "skills.more.tool").all(|it| it["kind"] == "removed"));
    let of_first = desk.http().get(&desk.desk(&format!("/versions/{first}/diff"))).await;
    assert_eq!(of_first.data()["from"], json!(null));
    desk.patch(&skill, json!({ "isEnabled": false })).await.data();
    let of_draft = desk.http().get(&desk.desk(&format!("/versions/{second}/diff?against=draft"))).await;
    assert_eq!(of_draft.data()["to"], "draft");
    let kinds = each(&of_draft.data()["changes"], "kind");
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "removed"), "{kinds:?}");
}

async fn the_prepublish_report_says_what_a_skill_reads_writes_and_lacks(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.bind_lookup("find", &["full_name", "email"]).await;
    let change = json!({
        "toolName": "change_mail", "operation": "patients.update", "keyColumn": "phone", "keyParam": "phone",
        "inputs": [
            { "param": "email", "arg": "email" },
            { "param": "phone", "arg": "phone", "source": "caller" },
        ],
    });
    let mut change = change;
    change["inputs"][1]["param"] = json!("caller_phone");
    change["keyParam"] = json!("caller_phone");
    desk.bind(change).await;
    let waiting = json!({
        "toolName": "waiting", "operation": "services.update", "keyColumn": "code", "keyParam": "code",
        "inputs": [{ "param": "price", "arg": "price" }],
    });
    desk.try_bind(waiting).await.data();
    let report = desk.http().get(&desk.desk("/prepublish-report")).await.data().clone();
    assert_eq!((&report["publishable"], &report["disabled"]), (&json!(true), &json!(["waiting"])));
    let skills = report["skills"].as_array().expect("skills");
    let (find, change) = (&skills[0], &skills[1]);
    assert_eq!((&find["tool"], &change["tool"]), (&json!("find"), &json!("change_mail")));
    assert_eq!(find["fieldsLeaving"], json!(["full_name", "email"]));
    assert_eq!((&find["writes"], &change["writes"]), (&json!([]), &json!(["email"])));
    assert_eq!(each(&find["touches"], "object"), ["patients"]);
    assert_eq!(change["callerParameters"], json!(["caller_phone"]));
    assert_eq!(
        (&change["requiresConfirmation"], &change["requiresVerifiedIdentity"]),
        (&json!(false), &json!(false))
    );
    let warnings = change["warnings"].to_string();
    assert!(warnings.contains("confirm") && warnings.contains("identity"), "{warnings}");
    assert!(find["usesIndex"].is_string(), "{find}");
    assert!(find["expectedLatencyMs"].is_u64(), "{find}");
    if kind == IntegrationKind::Postgres {
        assert!(change["sideEffects"].to_string().contains("patients_touch"), "a trigger is told: {change}");
    }
    assert_eq!((&find["blockedBy"], &find["schemaChangedSinceBound"]), (&json!(null), &json!(false)));

    desk.scope(json!({ "blockedColumns": { "patients": ["email"] } })).await;
    desk.sql("ALTER TABLE locations ADD COLUMN wing varchar(10)");
    desk.discover().await;
    let report = desk.http().get(&desk.desk("/prepublish-report")).await.data().clone();
    assert_eq!(report["publishable"], false);
    for skill in report["skills"].as_array().expect("skills") {
        assert_eq!(skill["blockedBy"]["code"], "column_blocked");
        assert_eq!(skill["blockedBy"]["reason"], "The statement uses `patients.email`, which is blocked.");
        assert_eq!(skill["schemaChangedSinceBound"], true);
    }
}

async fn a_trigger_that_came_after_the_binding_is_in_the_report(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let rename = json!({
        "toolName": "rename", "operation": "services.update", "keyColumn": "code", "keyParam": "code",
        "inputs": [{ "param": "name", "arg": "name" }],
    });
    desk.bind(rename).await;
    let report = async || desk.http().get(&desk.desk("/prepublish-report")).await.data()["skills"][0].clone();
    assert_eq!(report().await["sideEffects"], json!([]));
    desk.sql(match kind {
        IntegrationKind::Postgres => {
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
             CREATE TRIGGER services_note BEFORE UPDATE ON services FOR EACH ROW EXECUTE FUNCTION note()"
        }
        IntegrationKind::Mysql => {
            "CREATE TRIGGER services_note BEFORE UPDATE ON services FOR EACH ROW SET NEW.name = NEW.name"
        }
    });
    desk.discover().await;
    let skill = report().await;
    let effects = skill["sideEffects"].to_string();
    assert!(effects.contains("The trigger `services_note` runs on updates of `services`"), "{skill}");
    let warnings = skill["warnings"].to_string();
    assert!(warnings.contains("is not what it was when it was bound"), "{warnings}");
}

async fn a_repeated_publish_makes_one_version_with_its_note(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.bind_lookup("find", &["full_name"]).await;
    let body = json!({ "note": "before the holidays" });
    let first = desk.http().post_once(&desk.desk("/publish"), body.clone(), "once").await;
    let again = desk.http().post_once(&desk.desk("/publish"), body, "once").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.data(), first.data());
    let versions = desk.http().get(&desk.desk("/versions")).await;
    assert_eq!(each(versions.data(), "note"), ["before the holidays"]);
    let key = functions::key_text::parse(&desk.http().key).expect("a key").key_id;
    assert_eq!(each(versions.data(), "publishedBy"), [key]);
}

async fn a_removed_skill_serves_until_the_next_publish_and_its_name_is_free(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name"]).await;
    desk.publish().await;
    let path = desk.desk(&format!("/skills/{skill}"));
    let removed = desk.http().delete(&path).await;
    assert_eq!(
        (&removed.data()["status"], &removed.data()["servedUntilNextPublish"]),
        (&json!("removed"), &json!(true))
    );
    assert_eq!(desk.http().get(&path).await.refusal(404), "not_found");
    assert_eq!(desk.http().delete(&path).await.refusal(404), "not_found");
    assert_eq!(desk.http().get(&desk.desk("/skills")).await.data(), &json!([]));
    assert_eq!(desk.outcome("find").await, "ok");
    // Blocking reaches what is served, removed or not.
    let scoped = desk.scope(json!({ "blockedColumns": { "patients": ["full_name"] } })).await;
    assert_eq!(each(&scoped["quarantinedSkills"], "skillId"), [skill.as_str()]);
    assert_eq!(desk.outcome("find").await, "refused skill_quarantined");
    assert_eq!(desk.try_bind(lookup("find", &["email"])).await.status, 201, "its name is free");
    desk.publish().await;
    assert_eq!(desk.outcome("find").await, "ok");
    let by_id = json!({ "arguments": { "phone": PHONE } });
    let by_id = desk.http().post(&desk.desk(&format!("/skills/{skill}/call")), by_id).await;
    assert_eq!(by_id.refusal(404), "not_found");
}
