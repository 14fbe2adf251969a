//! Credentials that change under live skills, and a database that goes away.

use super::{Desk, body_of, each};
use events::{IntegrationKind, OrganizationId};
use infra::storage::CredentialStore;
use serde_json::json;

on_both_engines!(
    rotation_to_the_same_database_keeps_everything_and_lets_the_old_user_go,
    another_database_stops_skills_until_a_discovery_finds_them_valid,
    a_disconnect_stops_skills_and_a_reconnect_with_a_discovery_frees_them,
    a_discovery_that_a_rotation_overtook_frees_nothing,
);

async fn rotation_to_the_same_database_keeps_everything_and_lets_the_old_user_go(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.bind_lookup("find", &["full_name"]).await;
    desk.publish().await;
    desk.scope(json!({ "blockedColumns": { "patients": ["ssn"] } })).await;
    let before = desk.http().get(&desk.integration("/schema?limit=100")).await;
    let first = desk.http().get("/integrations").await.data()[0]["connection"].clone();
    desk.try_connect(&desk.engine.owner(&desk.database)).await.data();

    let second = desk.http().get("/integrations").await.data()[0]["connection"].clone();
    assert_ne!(first["user"], second["user"]);
    assert_eq!(second["credentialVersion"].as_u64(), first["credentialVersion"].as_u64().map(|it| it + 1));
    let user = first["user"].as_str().expect("a user");
    desk.sql(&match kind {
        IntegrationKind::Postgres => format!("ALTER ROLE {user} NOLOGIN"),
        IntegrationKind::Mysql => format!("DROP USER {user}"),
    });
    assert_eq!(desk.outcome("find").await, "ok");
    assert_eq!(desk.http().get(&desk.integration("/schema?limit=100")).await.text, before.text);
    let scoping = desk.http().get(&desk.integration("/scoping")).await;
    assert_eq!(scoping.data()["blockedColumns"], json!({ "patients": ["ssn"] }));
    let types = desk.http().get("/events?types=CredentialsRotated,SkillsQuarantined").await;
    assert_eq!(each(types.data(), "type"), ["CredentialsRotated"]);
    assert_eq!(types.data()[0]["data"]["targetChanged"], false);
}

async fn another_database_stops_skills_until_a_discovery_finds_them_valid(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let (fits, broken) =
        (desk.bind_lookup("fits", &["full_name"]).await, desk.bind_lookup("broken", &["email"]).await);
    desk.publish().await;
    let other = desk.engine.clinic();
    desk.engine.admin_sql(&other, "ALTER TABLE patients DROP COLUMN email");
    desk.try_connect(&desk.engine.owner(&other)).await.data();
    for (tool, skill) in [("fits", &fits), ("broken", &broken)] {
        assert_eq!(desk.outcome(tool).await, "refused skill_quarantined");
        let reason = desk.skill(skill).await["quarantineReason"].clone();
        assert!(super::text(&reason).contains("another host or database"), "{reason}");
    }
    let events = desk.http().get("/events?types=SkillsQuarantined").await;
    assert_eq!(each(&events.data()[0]["data"]["skills"], "cause"), ["target_changed", "target_changed"]);

    let found = desk.discover().await;
    assert_eq!(each(&found["quarantinedSkills"], "toolName"), ["broken"]);
    assert_eq!(found["changes"]["removed"], json!(["patients.email"]), "{found}");
    assert_eq!(found["changes"]["added"], json!([]), "{found}");
    assert_eq!(
        found["changes"]["changed"],
        json!(["patients"]),
        "it lost an index, and no other table a thing"
    );
    assert_eq!(desk.outcome("fits").await, "ok");
    assert_eq!(desk.skill(&fits).await["status"], "published");
    assert_eq!(desk.outcome("broken").await, "refused skill_quarantined");
    assert_eq!(desk.skill(&broken).await["quarantineReason"], "`patients.email` is gone.");
}

async fn a_disconnect_stops_skills_and_a_reconnect_with_a_discovery_frees_them(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let skill = desk.bind_lookup("find", &["full_name"]).await;
    desk.publish().await;
    assert_eq!(desk.outcome("find").await, "ok");
    let gone = desk.http().delete(&desk.integration("")).await;
    assert_eq!(gone.data()["status"], "disconnected");
    assert_eq!(each(&gone.data()["quarantinedSkills"], "skillId"), [skill.as_str()]);
    assert_eq!(desk.outcome("find").await, "refused skill_quarantined");
    let again = desk.http().delete(&desk.integration("")).await;
    assert_eq!(again.refusal(409), "integration_not_connected");
    let undiscoverable = desk.http().post(&desk.integration("/discover"), json!({})).await;
    assert_eq!(undiscoverable.refusal(409), "integration_not_connected");
    let enabled = desk.patch(&skill, json!({ "isEnabled": true })).await;
    assert_eq!(enabled.refusal(409), "integration_not_connected");
    let events = desk.http().get("/events?types=Disconnected,CredentialsShredded").await;
    assert_eq!(each(events.data(), "type"), ["Disconnected", "CredentialsShredded"]);
    let organization = OrganizationId::from("default");
    assert!(desk.site.embedded.store.get(&organization, kind, 1).await.expect("readable").is_none());
    assert_eq!(desk.http().get("/integrations").await.data()[0]["status"], "disconnected");

    desk.try_connect(&desk.engine.owner(&desk.database)).await.data();
    assert_eq!(desk.outcome("find").await, "refused skill_quarantined", "a discovery has to look first");
    desk.discover().await;
    assert_eq!(desk.outcome("find").await, "ok");
}

async fn a_discovery_that_a_rotation_overtook_frees_nothing(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    desk.bind_lookup("find", &["full_name"]).await;
    desk.publish().await;
    let empty = desk.engine.database("CREATE TABLE unrelated (id int PRIMARY KEY)");
    let mut elsewhere = body_of(&desk.engine.owner(&empty));
    elsewhere["skipTest"] = json!(true);
    let (discover, connect) = (desk.integration("/discover"), desk.integration("/connect"));
    let (discovered, connected) =
        tokio::join!(desk.http().post(&discover, json!({})), desk.http().post(&connect, elsewhere));
    connected.data();
    // Whichever came first, the schema of the database before says nothing about this one.
    if discovered.status != 200 {
        assert_eq!(discovered.refusal(409), "connection_changed");
    }
    assert_eq!(desk.outcome("find").await, "refused skill_quarantined");
    let found = desk.discover().await;
    assert_eq!(found["objectCount"], 1);
    assert_eq!(desk.outcome("find").await, "refused skill_quarantined");
}
