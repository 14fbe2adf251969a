//! The same on Lambda: nobody repeats the write, and a function on a schedule finds out what became of it.

use super::doubts::FLIGHTS;
use crate::aws::Cloud;
use crate::cutter::{Break, Cutter, How, Point};
use crate::engines::engine;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// From the moment that the way was mended: a minute until the schedule comes by is not waited for here.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

async fn what_nobody_asks_for_again_is_found_out_on_lambda(kind: IntegrationKind) {
    let cloud = Cloud::deploy().await;
    let _plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await.following();
    let engine = engine(kind);
    let cutter = Cutter::before(engine.port).await;
    let database = engine.database("CREATE TABLE stays (id int PRIMARY KEY, guest varchar(80) NOT NULL)");
    let owner = cutter.to(engine.owner(&database));
    let credentials = json!({ "credentials": {
        "host": owner.host, "port": owner.port, "database": owner.database, "user": owner.user,
        "password": owner.password.expose(), "sslmode": "verify-full", "ca_pem": owner.ca_pem,
    }});
    http.post(&format!("/integrations/{kind}/connect"), credentials).await.data();
    http.post(&format!("/integrations/{kind}/discover"), json!({})).await.data();
    let agent = http.post("/agents", json!({ "name": "Front desk" })).await.data()["id"].clone();
    let desk = |path: &str| format!("/agents/{}{path}", agent.as_str().expect("an id"));
    let input = |name: &str| json!({ "param": name, "arg": name });
    let binding =
        json!({ "toolName": "stay", "operation": "stays.insert", "inputs": [input("id"), input("guest")] });
    let skill =
        http.post(&desk(&format!("/integrations/{kind}/bindings")), binding).await.data()["id"].clone();
    let review = json!({ "isEnabled": true, "requiresConfirmation": false });
    http.patch(&desk(&format!("/skills/{}", skill.as_str().expect("an id"))), review).await.data();
    http.post(&desk("/publish"), json!({})).await.data();
    let call = async |id: u32, context: Value| {
        let body = json!({ "arguments": { "id": id, "guest": "Ada" }, "context": context });
        http.post(&desk("/skills/stay/call"), body).await
    };

    assert_eq!(call(1, json!({})).await.data()["outcome"], "ok", "it opens the connection");
    cutter.arm(Break { flight: FLIGHTS, point: Point::Sent, how: How::Silent, part: 50 });
    let context = json!({ "callId": "c", "toolCallId": "t", "deadlineMs": 1500 });
    let first = call(2, context.clone()).await;
    assert_eq!(first.data()["outcome"], "in_doubt", "{}", first.body);
    let open = http.get(&desk("/calls?outcome=in_doubt&resolved=false")).await;
    assert_eq!(open.body["pagination"]["total"], 1, "{}", open.body);

    cutter.mend();
    let mended = Instant::now();
    let told = cloud.settle_doubts().await;
    assert_eq!(told["inDoubt"], 0, "its slot need not end first: {told}");
    assert!(mended.elapsed() < KNOWN_WITHIN, "{:?}", mended.elapsed());
    let known = http.get(&desk("/calls?callId=c")).await;
    let resolution = &known.data()[0]["resolution"];
    assert_eq!((&resolution["result"], &resolution["by"]), (&json!("committed"), &Value::Null));
    let again = call(2, context).await;
    assert_eq!((&again.data()["outcome"], again.header("idempotent-replayed")), (&json!("ok"), Some("true")));
    assert_eq!(engine.admin_sql(&database, "SELECT count(*) FROM stays").trim(), "2");
    assert!(
        !cloud.fleet.lines().iter().any(|line| line.text.contains("no extension may be registered")),
        "records are kept after the answers"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_again_is_found_out_on_lambda_with_postgres() {
    what_nobody_asks_for_again_is_found_out_on_lambda(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_again_is_found_out_on_lambda_with_mariadb() {
    what_nobody_asks_for_again_is_found_out_on_lambda(IntegrationKind::Mysql).await;
}
