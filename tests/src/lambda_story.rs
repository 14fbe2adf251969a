//! The story on Lambda: the same, told to functions behind a gateway, and what must be true of their tables afterwards.

use crate::aws::Cloud;
use crate::engines::engine;
use crate::story::{Hands, Story, Teller};
use events::{IntegrationKind, OrganizationId};
use functions::reactions::watch;
use infra::storage::EventLog;
use std::time::{Duration, Instant};

/// How long a stream may take to wake a function.
const WOKEN_WITHIN: Duration = Duration::from_secs(20);

async fn the_story_holds_on_lambda(kind: IntegrationKind) {
    let cloud = Cloud::deploy().await;
    let plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await.following();
    let database = engine(kind).clinic();
    let teller = Teller { aloud: false };
    let story = Story { http: &http, engine: engine(kind), database: &database, teller };
    story.tell(&Hands::Tables(&cloud)).await;

    let (store, organization) = (cloud.store().await, OrganizationId::from("clinic"));
    let verified = store.verify(&organization).await.expect("the log can be read");
    assert_eq!(verified.first_bad, None);
    assert!(verified.events > 15, "{verified:?}");
    cloud.projected(&organization).await;
    watched(&cloud).await;
    assert_eq!(plumbing.failed(), 0);
    assert!(cloud.fleet.started("skills-call") >= 1);
}

/// Waits until the function that watches the log was woken: the story changed a commit, and put it back.
async fn watched(cloud: &Cloud) {
    let started = Instant::now();
    while cloud.fleet.started(watch::REACTION.name) == 0 {
        assert!(started.elapsed() < WOKEN_WITHIN, "nobody noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_lambda_with_postgres() {
    the_story_holds_on_lambda(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_lambda_with_mariadb() {
    the_story_holds_on_lambda(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_beside_the_endpoints_and_those_of_nothing_are_answered_as_on_one_machine() {
    let cloud = Cloud::deploy().await;
    let http = cloud.http_as("clinic").await;
    let problem = http.get("/agents/none").await;
    assert_eq!(problem.refusal(404), "not_found");
    let address = problem.body["type"].as_str().expect("an address");
    assert!(address.starts_with(&cloud.url), "{address}");
    assert_eq!(http.beside(address).await.data()["code"], "not_found");
    assert_eq!(http.beside("/healthz").await.data()["status"], "ok");
    assert_eq!(http.beside("/openapi.json").await.body["openapi"].as_str().map(|it| &it[..2]), Some("3."));
    assert_eq!(http.beside("/nothing").await.refusal(404), "not_found");
    assert_eq!(http.get("/agents/").await.refusal(404), "not_found");
    let refused = http.send("PUT", "/agents", None, &[]).await;
    assert_eq!(refused.refusal(405), "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET,HEAD,POST"));
}
