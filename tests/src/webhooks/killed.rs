//! Functions that are killed while they deliver.

use super::functions::scheduled;
use super::*;
use crate::aws::Cloud;
use crate::aws::faults::Moment;
use crate::aws::streams::Reader;
use crate::dice::{Dice, tier};
use crate::webhooks::volume::fails_often;
use ::functions::reactions::{deliver, retry};
use infra::storage::dynamodb::tables::TableName;

/// More requests than a delivery of a few events makes: a kill may come too late, which is a schedule too.
const REQUESTS: u64 = 40;
/// A receiver has a moment to answer, so the turn of a function that was killed ends soon.
const HASTY: &[(&str, &str)] =
    &[("BINDERY_WEBHOOK_RETRY_BASE_MS", "2"), ("BINDERY_WEBHOOK_TIMEOUT_MS", "300")];

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_killed_while_they_deliver_lose_no_event_and_let_none_overtake() {
    let cloud = Cloud::deploy_with(HASTY).await;
    let http = cloud.http_as("clinic").await;
    let heads = cloud.resources.names.table(TableName::Heads);
    let mut heads = Reader::of(cloud.resources.dynamodb.clone(), &heads).await;
    let receiver = Receiver::start(fails_often(5)).await;
    let (id, secret) = subscribe(&http, json!({ "url": receiver.url, "from": 0 })).await;
    let (mut dice, mut killed, rounds) = (Dice(11), 0, tier(12, 60));
    let clock = scheduled();
    for _ in 0..rounds {
        create_agents(&http, 4).await;
        let records = heads.read().await;
        let newest = records.iter().rfind(|record| record["dynamodb"]["Keys"]["item"]["S"] == "HEAD");
        let doorbell = json!({ "Records": [newest.expect("the head moved")] });
        let moment = if dice.below(2) == 0 { Moment::Before } else { Moment::After };
        let caught = cloud.dynamodb.trap(dice.below(REQUESTS), moment);
        let dies = async {
            if caught.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // Another function delivers at the same time, and meets whatever the one that dies has left.
        let (rung, ticked) = tokio::join!(
            cloud.fleet.invoke_unless(deliver::REACTION.name, &doorbell, dies),
            cloud.fleet.ask(retry::REACTION.name, &clock),
        );
        ticked.ok();
        killed += u32::from(rung.is_err());
        cloud.dynamodb.free();
    }
    assert!(killed > 2, "{killed} of {rounds} were killed");
    let events = 2 + 4 * rounds as u64;
    until("all is delivered", async || {
        cloud.fleet.ask(retry::REACTION.name, &clock).await.expect("an answer");
        status(&http, &id).await["deliveredThrough"] == events
    })
    .await;
    assert_eq!(receiver.assert_in_order(), events);
    assert!(receiver.wait_for(0).await.iter().all(|got| got.is_signed_by(&secret)));
}
