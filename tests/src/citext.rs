//! A type that an extension brings, with an equality of its own.

use crate::engines::postgres;
use crate::site::Site;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_case_insensitive_column_is_found_in_any_case_and_by_its_index() {
    let site = Site::start().await;
    let database = postgres().database(
        "CREATE EXTENSION citext;
         CREATE TABLE accounts (id int PRIMARY KEY, email citext NOT NULL UNIQUE, plan text NOT NULL);
         INSERT INTO accounts SELECT n, 'User' || n || '@Example.com', 'basic' FROM generate_series(1, 5000) AS n;
         ANALYZE",
    );
    site.connect(&site.http, postgres(), &database).await;
    let agent = site.agent(&site.http).await;
    let read = json!({
        "toolName": "find_account", "operation": "accounts.read",
        "inputs": [{ "param": "email", "arg": "email" }],
        "projection": [{ "path": ["accounts", "email"], "leaf": "email" }],
    });
    let change = json!({
        "toolName": "change_plan", "operation": "accounts.update", "keyColumn": "email", "keyParam": "email",
        "inputs": [{ "param": "plan", "arg": "plan" }],
    });
    let found = site.bind(&site.http, &agent, postgres(), read).await;
    assert_eq!(found["executionConfig"]["plan"]["usesIndex"], "accounts_email_key", "{found}");
    site.bind(&site.http, &agent, postgres(), change).await;
    site.http.post(&format!("/agents/{agent}/publish"), json!({})).await.data();

    let call = json!({ "arguments": { "email": "USER42@example.COM" } });
    let answer = site.http.post(&format!("/agents/{agent}/skills/find_account/call"), call).await;
    assert_eq!(answer.data()["rows"], json!([{ "email": "User42@Example.com" }]));
    let call = json!({ "arguments": { "email": "user7@EXAMPLE.com", "plan": "gold" } });
    let answer = site.http.post(&format!("/agents/{agent}/skills/change_plan/call"), call).await;
    assert_eq!((&answer.data()["outcome"], &answer.data()["matched"]), (&json!("ok"), &json!(1)));
    assert_eq!(postgres().admin_sql(&database, "SELECT id FROM accounts WHERE plan = 'gold'").trim(), "7");
}
