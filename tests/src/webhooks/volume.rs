//! Many events, a receiver that fails three times in ten, and nothing that is lost or overtakes.

use super::*;
use crate::dice::{Dice, tier};
use crate::streaming::append;
use std::sync::Mutex;

/// A receiver that has a moment to answer in, so that one that is silent holds nobody up for long.
const HASTY: &[(&str, &str)] =
    &[("BINDERY_WEBHOOK_RETRY_BASE_MS", "2"), ("BINDERY_WEBHOOK_TIMEOUT_MS", "100")];

/// Three of ten requests fail, each in a way of its own.
pub fn fails_often(seed: u64) -> impl Fn(usize) -> Verdict + Send + Sync + 'static {
    let dice = Mutex::new(Dice(seed));
    move |_| match dice.lock().expect("not poisoned").below(100) {
        0..10 => Verdict::Status(500),
        10..20 => Verdict::HangUp,
        20..30 => Verdict::Silence,
        _ => Verdict::Status(204),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_events_reach_a_receiver_that_fails_three_times_in_ten_in_order_and_signed() {
    let (site, events) = (Site::start_with(HASTY).await, tier(500, 10_000));
    // The key and the subscription are the other two.
    for _ in 0..(events - 2) / 100 {
        append(&site.services.log, 100).await;
    }
    append(&site.services.log, (events - 2) % 100).await;
    let receiver = Receiver::start(fails_often(1)).await;
    let started = Instant::now();
    let (id, secret) = subscribe(&site.http, json!({ "url": receiver.url, "from": 0 })).await;
    receiver.wait_for(events).await;
    until("the last is recorded", async || status(&site.http, &id).await["deliveredThrough"] == events).await;
    let (took, asked) = (started.elapsed(), receiver.asked());
    assert_eq!(receiver.assert_in_order(), events as u64);
    let taken = receiver.wait_for(events).await;
    assert!(taken.iter().all(|got| got.is_signed_by(&secret)));
    assert!(asked * 7 >= events * 9, "three of ten failed: {asked} requests for {events} events");
    println!(
        "{events} events in {asked} requests, {:.0} s: {:.0} events/s",
        took.as_secs_f64(),
        events as f64 / took.as_secs_f64()
    );
}
