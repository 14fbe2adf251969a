//! The same on AWS: what functions answer and write, what stands in their tables and their bucket, what streams pass on.

use super::needles::{Canary, Needles};
use super::scenario::Scenario;
use super::{assert_clean, assert_clean_answers, assert_clean_file, holds};
use crate::aws::Cloud;
use crate::aws::streams::Reader;
use crate::engines::engine;
use events::IntegrationKind;
use infra::storage::dynamodb::tables::{TABLES, TableName};

async fn secrets_stay_where_they_belong_on_lambda(kind: IntegrationKind) {
    let cloud = Cloud::deploy().await;
    let _plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await.following();
    let known = &cloud.resources.secrets;
    let known = known.iter().map(|(name, text)| Canary::of(name, text)).collect();
    let scenario = Scenario::play(&http, known, engine(kind)).await;
    let needles = Needles::of(&scenario.canaries);

    assert_clean_answers(&scenario, &needles);
    for event in scenario.events(&http).await {
        assert_clean(&needles, "an event", event.to_string().as_bytes());
    }
    cloud.sweep().await;
    let lines = cloud.fleet.lines();
    for function in ["skills-call", "integrations-connect", "discoveries-run", "views-project"] {
        assert!(lines.iter().any(|line| line.function == function), "lines of {function} were looked at");
    }
    for line in &lines {
        assert_clean(&needles, &format!("a line of {}", line.function), line.text.as_bytes());
    }
    for table in TABLES.iter().filter(|table| table.stream) {
        let name = cloud.resources.names.table(table.name);
        let records = Reader::of(cloud.resources.dynamodb.clone(), &name).await.read().await;
        assert!(!records.is_empty(), "{name}");
        for record in records {
            assert_clean(&needles, &format!("a record of {name}"), record.to_string().as_bytes());
        }
    }
    let stored = cloud.resources.stored().await;
    assert!(
        stored.iter().any(|(_, bytes)| holds(bytes, b"Front desk")),
        "what is no secret is found, unpacked"
    );
    for (place, bytes) in &stored {
        assert_clean_file(&needles, place, bytes);
    }

    let sealed = || async {
        let table = cloud.resources.names.table(TableName::Credentials);
        cloud.resources.dynamodb.scan(&table).await.len()
    };
    assert!(sealed().await >= 1, "the credentials are sealed");
    http.delete(&format!("/integrations/{kind}")).await.data();
    assert_eq!(sealed().await, 0, "and go with the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_on_lambda_with_postgres() {
    secrets_stay_where_they_belong_on_lambda(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_on_lambda_with_mariadb() {
    secrets_stay_where_they_belong_on_lambda(IntegrationKind::Mysql).await;
}
