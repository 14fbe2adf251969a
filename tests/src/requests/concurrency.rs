//! Versions of what is changed, and reads that are no older than a change.

use super::text;
use crate::engines::postgres;
use crate::http::{Answer, Http};
use crate::site::Site;
use events::Seq;
use serde_json::{Value, json};

async fn patch_if(http: &Http, path: &str, body: Value, tag: &str) -> Answer {
    http.send("PATCH", path, Some(&body), &[("If-Match", tag)]).await
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("an ETag on {}", answer.path)).to_owned()
}

/// Somebody else's change came between the read and the write: the write is refused with the version that is.
async fn assert_guarded(http: &Http, path: &str, change: impl Fn(u32) -> Value) {
    let read = etag(&http.get(path).await);
    let written = patch_if(http, path, change(1), &read).await;
    assert_eq!(written.status, 200, "{}", written.text);
    let now = etag(&written);
    assert_ne!(now, read);
    assert_eq!(etag(&http.get(path).await), now);
    let stale = patch_if(http, path, change(2), &read).await;
    assert_eq!(stale.refusal(412), "stale_version");
    assert_eq!(stale.body["currentVersion"], now);
    assert_eq!(etag(&http.get(path).await), now, "nothing was changed");
    assert_eq!(patch_if(http, path, change(3), &format!("\"0\", {now}")).await.status, 200, "one of a list");
    assert_eq!(patch_if(http, path, change(4), "*").await.status, 200, "whatever it is");
    let deleted = http.send("DELETE", path, None, &[("If-Match", &read)]).await;
    assert!(matches!(deleted.status, 412 | 405), "{}", deleted.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_a_stale_version_is_refused_with_the_current_one() {
    let site = Site::start().await;
    let engine = postgres();
    site.connect(&site.http, engine, &engine.clinic()).await;
    let agent = site.agent(&site.http).await;
    let skill = site.bind(&site.http, &agent, engine, crate::authorization::binding()).await;
    let path = format!("/agents/{agent}/skills/{}", text(&skill["id"]));
    assert_guarded(&site.http, &path, |round| json!({ "description": format!("round {round}") })).await;
    let columns = ["ssn", "email", "phone", "last_name"];
    assert_guarded(
        &site.http,
        "/integrations/postgres/scoping",
        |round| json!({ "blockedColumns": { "patients": [columns[round as usize - 1]] } }),
    )
    .await;
    assert!(etag(&site.http.get(&format!("/agents/{agent}")).await).starts_with('"'));
    let stale = site.http.send("DELETE", "/integrations/postgres", None, &[("If-Match", "\"0\"")]).await;
    assert_eq!(stale.refusal(412), "stale_version");
    let current = text(&stale.body["currentVersion"]);
    let gone = site.http.send("DELETE", "/integrations/postgres", None, &[("If-Match", &current)]).await;
    assert_eq!(gone.data()["status"], "disconnected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_quarantines_a_skill_makes_its_version_stale() {
    let site = Site::start().await;
    let engine = postgres();
    site.connect(&site.http, engine, &engine.clinic()).await;
    let agent = site.agent(&site.http).await;
    let skill = site.bind(&site.http, &agent, engine, crate::authorization::binding()).await;
    let path = format!("/agents/{agent}/skills/{}", text(&skill["id"]));
    let read = etag(&site.http.get(&path).await);
    let block = json!({ "blockedColumns": { "patients": ["full_name"] } });
    site.http.patch("/integrations/postgres/scoping", block).await.data();
    let stale = patch_if(&site.http, &path, json!({ "description": "all is well" }), &read).await;
    assert_eq!(stale.refusal(412), "stale_version");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_tells_its_position_and_a_read_at_it_sees_it() {
    let site = Site::start().await;
    let mut last = Seq(0);
    for name in ["one", "two", "three"] {
        let created = site.http.post("/agents", json!({ "name": name })).await;
        let position =
            created.header("x-bindery-position").expect("a position").parse().map(Seq).expect("a number");
        assert!(position > last);
        last = position;
        let read = site.http.get(&format!("/agents?min_position={position}")).await;
        assert!(read.data().to_string().contains(name));
    }
    let events = site.http.get("/events?limit=100").await;
    let seqs: Vec<u64> =
        events.data().as_array().expect("events").iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=last.0).collect::<Vec<_>>(), "gapless");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_a_position_that_is_about_to_come_and_not_for_ever() {
    let site = Site::start().await;
    let created = site.http.post("/agents", json!({ "name": "one" })).await;
    let position: u64 = created.header("x-bindery-position").expect("a position").parse().expect("a number");
    let reading = {
        let http = site.http.clone();
        tokio::spawn(async move { http.get(&format!("/agents?min_position={}", position + 1)).await })
    };
    // The read is on its way, or has not begun yet: in both cases it sees what is created now.
    tokio::task::yield_now().await;
    site.http.post("/agents", json!({ "name": "two" })).await.data();
    let read = reading.await.expect("no panic");
    assert_eq!(read.data().as_array().map(Vec::len), Some(2), "{}", read.text);

    let late = site.http.get(&format!("/agents?min_position={}", position + 1000)).await;
    assert_eq!(late.refusal(503), "service_unavailable");
    assert_eq!(late.header("retry-after"), Some("1"));
    for wrong in ["-1", "x", ""] {
        let answer = site.http.get(&format!("/agents?min_position={wrong}")).await;
        assert_eq!(super::wrong(&answer)[0].0, "min_position", "{wrong}");
    }
    let created = site.http.request("POST", "/agents?min_position=1").bearer_auth(&site.http.key);
    let answer = site.http.ask(created.json(&json!({ "name": "three" }))).await;
    assert_eq!(
        super::wrong(&answer),
        [("min_position".to_owned(), "unknown_field".to_owned())],
        "of a GET alone"
    );
}
