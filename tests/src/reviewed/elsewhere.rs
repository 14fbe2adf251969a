//! A connection that leads elsewhere: nothing that was known of the old database serves until a discovery.

use super::{agent_with_read, call, connecting, find_patient, known_phone, publish, text};
use crate::engines::{Engine, postgres};
use crate::site::Site;
use serde_json::{Value, json};

const CONNECT: &str = "/integrations/postgres/connect";

#[tokio::test]
async fn after_a_move_to_another_database_only_a_discovery_lets_anything_run() {
    let (site, engine, agent, skill, first) = published_twice().await;
    let new = engine.owner(&engine.clinic());
    site.http.post(CONNECT, connecting(&new, true)).await.data();
    nothing_serves_until_discovered(&site, engine, &agent, &skill, &first).await;
}

#[tokio::test]
async fn after_a_disconnect_and_a_connect_only_a_discovery_lets_anything_run() {
    let (site, engine, agent, skill, first) = published_twice().await;
    site.http.delete("/integrations/postgres").await.data();
    let same = engine.owner(&engine.clinic());
    site.http.post(CONNECT, connecting(&same, true)).await.data();
    nothing_serves_until_discovered(&site, engine, &agent, &skill, &first).await;
}

/// With the id of the version before the live one.
async fn published_twice() -> (Site, &'static Engine, String, Value, String) {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let (agent, skill) = agent_with_read(&site, engine).await;
    publish(&site.http, &agent).await.data();
    let versions = site.http.get(&format!("/agents/{agent}/versions")).await;
    let list = versions.data().as_array().expect("versions");
    let first = list.iter().find(|version| version["version"] == 1).expect("version 1");
    let id = text(&first["id"]);
    (site, engine, agent, skill, id)
}

async fn nothing_serves_until_discovered(
    site: &Site,
    engine: &Engine,
    agent: &str,
    skill: &Value,
    first: &str,
) {
    let http = &site.http;
    let skill_path = format!("/agents/{agent}/skills/{}", text(&skill["id"]));
    let bindings = format!("/agents/{agent}/integrations/{}/bindings", engine.kind);
    let rollback = format!("/agents/{agent}/rollback");
    let enable = json!({ "isEnabled": true });
    let to_first = json!({ "versionId": first });

    let refused = call(http, agent, "find_patient", known_phone()).await;
    assert_eq!(refused.data()["code"], "skill_quarantined");
    assert_eq!(http.patch(&skill_path, enable.clone()).await.refusal(404), "not_discovered");
    for blocked in [http.post(&rollback, to_first.clone()).await, publish(http, agent).await] {
        assert_eq!(blocked.refusal(409), "publish_blocked");
        assert_eq!(blocked.body["errors"][0]["code"], "not_discovered", "{}", blocked.text);
    }
    assert_eq!(http.post(&bindings, find_patient("second")).await.refusal(404), "not_discovered");
    for path in ["schema", "objects", "search?q=patient"] {
        let answer = http.get(&format!("/integrations/postgres/{path}")).await;
        assert_eq!(answer.refusal(404), "not_discovered");
    }
    let refused = call(http, agent, "find_patient", known_phone()).await;
    assert_eq!(refused.data()["code"], "skill_quarantined", "none of this set it free");

    http.post("/integrations/postgres/discover", json!({})).await.data();
    let found = call(http, agent, "find_patient", known_phone()).await;
    assert_eq!(found.data()["outcome"], "ok", "{}", found.text);
    http.patch(&skill_path, enable).await.data();
    http.post(&bindings, find_patient("second")).await.data();
    http.post(&rollback, to_first).await.data();
    publish(http, agent).await.data();
    http.get("/integrations/postgres/schema").await.data();
}
