//! The same on functions: woken by the stream of heads, and by the clock for what failed.

use super::*;
use crate::aws::Cloud;
use ::functions::reactions::retry;

pub fn scheduled() -> Value {
    json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}

/// What the schedule does every minute, over and over.
async fn clock(cloud: &Cloud) {
    loop {
        cloud.fleet.ask(retry::REACTION.name, &scheduled()).await.expect("an answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_deliver_every_event_in_order_to_a_receiver_that_fails_often() {
    let cloud = Cloud::deploy_with(IMPATIENT).await;
    let plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await;
    let receiver = Receiver::start(|number| match number % 10 {
        2 => Verdict::Status(500),
        5 => Verdict::HangUp,
        8 => Verdict::Status(302),
        _ => Verdict::Status(200),
    })
    .await;
    let (id, secret) = subscribe(&http, json!({ "url": receiver.url, "from": 0 })).await;
    create_agents(&http, 20).await;
    // What was taken but not recorded in time comes again, so that is when it is over.
    let over =
        until("every delivery is recorded", async || status(&http, &id).await["deliveredThrough"] == 22);
    tokio::select! {
        () = over => {}
        () = clock(&cloud) => {}
    }
    let taken = receiver.wait_for(22).await;
    assert_eq!(receiver.assert_in_order(), 22, "although doorbells and clock deliver at the same time");
    assert!(taken.iter().all(|got| got.is_signed_by(&secret)));
    assert_eq!(plumbing.failed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_park_a_webhook_and_go_on_when_it_is_resumed() {
    let cloud = Cloud::deploy_with(IMPATIENT).await;
    let _plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await;
    let receiver = Receiver::start(|_| Verdict::Status(410)).await;
    let (id, _) = subscribe(&http, json!({ "url": receiver.url })).await;
    let path = format!("/subscriptions/{id}");
    until("it is parked", async || status(&http, &id).await["status"] == "parked").await;
    receiver.answer(|_| Verdict::Status(200));
    let tested = http.post(&format!("{path}/test"), json!({})).await.data().clone();
    assert_eq!(tested["outcome"], "delivered", "{tested}");
    http.post(&format!("{path}/resume"), json!({})).await.data();
    until("all is delivered", async || status(&http, &id).await["deliveredThrough"] == 4).await;
    let attempts = http.get(&format!("{path}/deliveries?limit=100")).await.data().clone();
    let attempts = attempts.as_array().expect("attempts");
    let of = |outcome: &str| attempts.iter().find(|it| it["outcome"] == outcome && it["seq"] != 0);
    let failed = of("failed").expect("the first")["id"].as_str().expect("an id").to_owned();
    let again = http.post(&format!("{path}/deliveries/{failed}/redeliver"), json!({})).await.data().clone();
    assert_eq!((&again["outcome"], &again["attempt"]), (&json!("delivered"), &json!(2)));
    http.delete(&path).await.data();
    assert_eq!(http.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_retry_waits_for_no_clock_and_holds_no_other_receiver_up() {
    let cloud = Cloud::deploy_with(&[("BINDERY_WEBHOOK_RETRY_BASE_MS", "1500")]).await;
    let plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await;
    let types = json!(["AgentCreated"]);
    let fails_once = Receiver::start(|number| Verdict::Status(if number == 0 { 503 } else { 200 })).await;
    let fine = Receiver::start(|_| Verdict::Status(200)).await;
    for receiver in [&fails_once, &fine] {
        subscribe(&http, json!({ "url": receiver.url, "types": types })).await;
    }
    create_agents(&http, 1).await;
    until("the first fails", async || fails_once.asked() == 1).await;
    create_agents(&http, 1).await;
    fine.wait_for(2).await;
    // Nothing but doorbells wakes anybody here.
    let taken = fails_once.wait_for(2).await;
    let seqs: Vec<Value> = taken.iter().map(|got| got.body()["seq"].clone()).collect();
    assert_eq!(seqs, [4, 5]);
    assert_eq!(plumbing.failed(), 0);
}
