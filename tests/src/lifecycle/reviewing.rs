//! The review of drafts.

use super::{Desk, each, lookup, text};
use events::IntegrationKind;
use serde_json::json;

on_both_engines!(
    a_tool_name_is_unique_by_its_slug,
    order_and_limit_are_compiled_into_a_new_statement,
    a_write_lands_disabled_and_guarded_whatever_its_author_asks,
    a_review_that_is_wrong_changes_nothing,
);

async fn a_tool_name_is_unique_by_its_slug(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.bind_lookup("Find a Patient", &["full_name"]).await;
    for name in ["find_a_patient", "FIND A PATIENT", "find  a  patient"] {
        let taken = desk.try_bind(lookup(name, &["full_name"])).await;
        assert_eq!(taken.refusal(409), "tool_name_taken", "{name}");
        assert_eq!(each(&taken.body["errors"], "field"), ["toolName"]);
    }
    let other = desk.bind_lookup("other", &["full_name"]).await;
    let renamed = desk.patch(&other, json!({ "toolName": "Find a patient" })).await;
    assert_eq!(renamed.refusal(409), "tool_name_taken");
    let skill = desk.patch(&other, json!({ "toolName": "Find Another!" })).await;
    assert_eq!(
        (&skill.data()["name"], &skill.data()["tool"]),
        (&json!("Find Another!"), &json!("find_another"))
    );
    let elsewhere = desk.site.agent(desk.http()).await;
    let path = format!("/agents/{elsewhere}/integrations/{kind}/bindings");
    let free = desk.http().post(&path, lookup("find_a_patient", &["full_name"])).await;
    assert_eq!(free.status, 201, "another agent has names of its own");
}

async fn order_and_limit_are_compiled_into_a_new_statement(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let by_name = json!({
        "toolName": "by_name", "operation": "patients.read",
        "inputs": [{ "param": "last_name", "arg": "last_name" }],
        "projection": [{ "path": ["patients", "id"], "leaf": "id" }],
        "orderBy": [{ "column": "id" }], "limit": 2,
    });
    let skill = desk.bind(by_name).await;
    desk.publish().await;
    let ids = async |draft: bool| {
        let call = json!({ "arguments": { "last_name": "Adler" }, "draftMode": draft });
        let answer = desk.http().post(&desk.desk("/skills/by_name/call"), call).await;
        let rows = answer.data()["rows"].as_array().expect("rows").clone();
        let ids = rows.iter().map(|row| text(&row["id"]).parse::<i64>().expect("a number"));
        (ids.collect::<Vec<_>>(), answer.data()["truncated"].clone())
    };
    let (ascending, truncated) = ids(false).await;
    assert_eq!((ascending.len(), truncated), (2, json!(true)));
    assert!(ascending.is_sorted(), "{ascending:?}");
    let before = desk.skill(&skill).await;
    let patch = json!({ "orderBy": [{ "column": "id", "direction": "desc" }], "limit": 3 });
    let after = desk.patch(&skill, patch).await;
    assert_ne!(after.data()["executionConfig"]["statementHash"], before["executionConfig"]["statementHash"]);
    let (descending, _) = ids(true).await;
    assert_eq!(descending.len(), 3);
    assert!(descending.is_sorted_by(|a, b| a > b), "{descending:?}");
    assert_eq!(ids(false).await.0, ascending, "live calls run what was published");
    let same = desk.patch(&skill, json!({ "limit": 3 })).await;
    assert_eq!(same.header("etag"), after.header("etag"), "what is true already is no change");
}

async fn a_write_lands_disabled_and_guarded_whatever_its_author_asks(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let write = json!({
        "toolName": "change_mail", "operation": "patients.update", "keyColumn": "phone", "keyParam": "phone",
        "inputs": [{ "param": "email", "arg": "email" }], "enabled": true,
    });
    let skill = desk.try_bind(write.clone()).await;
    let skill = skill.data();
    assert_eq!(
        (&skill["isEnabled"], &skill["isWrite"], &skill["status"]),
        (&json!(false), &json!(true), &json!("draft"))
    );
    for guard in ["requiresConfirmation", "requiresVerifiedIdentity", "nonParallelizable"] {
        assert_eq!(skill[guard], true, "{guard}");
    }
    assert_eq!(skill["skillType"], "native_sql");
    assert_eq!(desk.try_publish().await.refusal(409), "nothing_to_publish");
    let id = text(&skill["id"]);
    desk.patch(&id, json!({ "isEnabled": true })).await.data();
    desk.publish().await;
    let call = async |body: serde_json::Value| {
        let answer = desk.http().post(&desk.desk("/skills/change_mail/call"), body).await;
        answer.data()["code"].clone()
    };
    let mut body = json!({ "arguments": { "phone": super::PHONE, "email": "new@example.com" } });
    assert_eq!(call(body.clone()).await, "identity_required");
    body["context"] = json!({ "verifiedIdentity": true });
    assert_eq!(call(body.clone()).await, "confirmation_required");
    body["confirm"] = json!(true);
    assert_eq!(call(body).await, json!(null));
    let mut contradiction = write;
    contradiction["isWrite"] = json!(false);
    contradiction["toolName"] = json!("again");
    let refused = desk.try_bind(contradiction).await;
    assert_eq!((refused.status, each(&refused.body["errors"], "field")), (422, vec!["isWrite"]));
}

async fn a_review_that_is_wrong_changes_nothing(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name"]).await;
    let before = desk.skill(&skill).await;
    let wrong = json!({
        "toolName": "!!!", "description": "x".repeat(1001), "limit": 101, "orderBy": [{ "column": "lst_name" }],
    });
    let refused = desk.patch(&skill, wrong).await;
    assert_eq!(refused.refusal(422), "binding_invalid");
    let mut fields = each(&refused.body["errors"], "field");
    fields.sort();
    assert_eq!(fields, ["description", "limit", "orderBy[0].column", "toolName"]);
    let order = refused.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .find(|it| it["field"] == "orderBy[0].column");
    assert_eq!(order.expect("it is listed")["nearest"][0], "last_name");
    assert_eq!(desk.skill(&skill).await, before);
}
