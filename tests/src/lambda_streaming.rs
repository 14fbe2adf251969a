//! `GET /events/stream` on Lambda: a function at an address of its own hands each frame on as it is made.

use crate::aws::Cloud;
use crate::http::Http;
use crate::streaming::Stream;
use serde_json::json;

const STREAM: &str = "events-stream";

/// One event by another function; its position is the next one.
async fn append(http: &Http, name: &str) {
    http.post("/agents", json!({ "name": name })).await.data();
}

/// The next frame is of the agent with this name.
async fn assert_next(stream: &mut Stream, id: u64, name: &str) {
    let frame = stream.next().await.expect("the stream goes on");
    assert_eq!((frame.id, frame.event.as_str()), (id, "AgentCreated"), "{name}");
    assert!(frame.data.to_string().contains(name), "{}", frame.data);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_leave_the_function_as_they_are_made_and_a_client_that_was_cut_off_resumes() {
    let cloud = Cloud::deploy().await;
    let http = cloud.http_as("clinic").await;
    let streams = Http::new(&cloud.stream_url, &http.key);
    for name in ["first", "second"] {
        append(&http, name).await;
    }
    let mut stream = Stream::open(&streams, "", None).await;
    let minted = stream.next().await.expect("the log so far");
    assert_eq!((minted.id, minted.event.as_str()), (1, "KeyMinted"));
    assert_next(&mut stream, 2, "first").await;
    assert_next(&mut stream, 3, "second").await;
    // The function has 15 minutes, and a client here gives up after one: what came by then was not held back.
    append(&http, "live").await;
    assert_next(&mut stream, 4, "live").await;

    drop(stream);
    append(&http, "missed").await;
    let mut resumed = Stream::open(&streams, "", Some(4)).await;
    assert_next(&mut resumed, 5, "missed").await;
    append(&http, "live again").await;
    assert_next(&mut resumed, 6, "live again").await;
    assert_eq!(cloud.fleet.started(STREAM), 2, "a process serves one stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_is_not_opened_by_a_bad_one() {
    let cloud = Cloud::deploy().await;
    let http = cloud.http_as("clinic").await;
    let other = http.post("/keys", json!({ "name": "listener", "scopes": ["audit:read"] })).await;
    let (id, key) = (&other.data()["id"], other.data()["key"].as_str().expect("the key"));
    let listener = Http::new(&cloud.stream_url, key);
    let mut stream = Stream::open(&listener, "?after=2", None).await;
    append(&http, "for the listener").await;
    assert_next(&mut stream, 3, "for the listener").await;
    http.delete(&format!("/keys/{}", id.as_str().expect("an id"))).await.data();
    append(&http, "not for the listener").await;
    assert_eq!(stream.next().await, None, "neither the revocation nor what came after it");

    for key in [key, "nonsense", ""] {
        let refused = listener.with_key(key).get("/events/stream").await;
        assert_eq!(refused.refusal(401), "invalid_api_key", "{key}");
    }
    let ends = Http::new(&cloud.stream_url, &http.key).get("/events/stream?after=1000").await;
    assert_eq!(ends.refusal(400), "validation_error", "and a refusal is an answer like any other");
}
