//! The story on the embedded server, and what must be true of its log afterwards.

use crate::engines::engine;
use crate::site::Site;
use crate::story::{Story, Teller};
use events::{IntegrationKind, OrganizationId};
use infra::storage::EventLog;

async fn the_story_holds(kind: IntegrationKind) {
    let site = Site::start().await;
    let database = engine(kind).clinic();
    let teller = Teller { aloud: false };
    Story { http: &site.http.following(), engine: engine(kind), database: &database, teller }.tell().await;

    let organization = OrganizationId::from("default");
    let verified = site.embedded.store.verify(&organization).await.expect("the log can be read");
    assert_eq!(verified.first_bad, None);
    assert!(verified.events > 15, "{verified:?}");
    let rebuilt =
        site.embedded.store.rebuild_projections(&organization).await.expect("the log can be folded");
    assert!(rebuilt.equal, "projections are the same bytes after a rebuild: {rebuilt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_postgres() {
    the_story_holds(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_mariadb() {
    the_story_holds(IntegrationKind::Mysql).await;
}
