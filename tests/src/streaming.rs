//! `GET /events/stream`: nothing is left out, nothing comes twice, and nobody listens longer than they may.

use crate::dice::{Dice, tier};
use crate::http::Http;
use crate::names::as_sent;
use crate::site::Site;
use events::agent::AgentCreated;
use events::{Actor, ActorKind, OrganizationId, Seq, Subject, SubjectKind};
use functions::{clock, key_text, random};
use infra::storage::{Commit, EventLog, Expects};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any of these tests.
const OPEN: &[(&str, &str)] = &[("BINDERY_STREAM_ENDS_AFTER_MS", "600000")];
const OVERDUE: Duration = Duration::from_secs(20);

/// One event as a client of server-sent events sees it.
#[derive(Debug, Default, PartialEq)]
pub struct Frame {
    pub id: u64,
    pub event: String,
    pub data: Value,
}

/// A client of server-sent events.
pub struct Stream {
    response: reqwest::Response,
    text: String,
    /// Comments that came.
    heartbeats: usize,
    /// The position that a client would resume from.
    position: u64,
}

impl Stream {
    pub async fn open(http: &Http, query: &str, last: Option<u64>) -> Self {
        let mut request = http.request("GET", &format!("/events/stream{query}")).bearer_auth(&http.key);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{query}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), heartbeats: 0, position: last.unwrap_or(0) }
    }

    /// The next event, or none when the stream ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let frame = self.read(block.trim_end());
                // Like a browser: a block without data is no event, but its id counts.
                let Some(frame) = frame else { continue };
                return Some(frame);
            }
            let chunk = tokio::time::timeout(OVERDUE, self.response.chunk()).await.expect("something comes");
            self.text.push_str(std::str::from_utf8(&chunk.expect("it is not cut")?).expect("UTF-8"));
        }
    }

    fn read(&mut self, block: &str) -> Option<Frame> {
        let (mut event, mut data) = (String::new(), None);
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => self.position = id.parse().expect("a position"),
                Some(("event", name)) => event = name.to_owned(),
                Some(("data", json)) => data = Some(serde_json::from_str(json).expect("JSON")),
                Some(("retry", _)) => {}
                _ if line == ":" => self.heartbeats += 1,
                _ => panic!("{line:?} is no line of an event stream"),
            }
        }
        Some(Frame { id: self.position, event, data: data? })
    }
}

fn organization() -> OrganizationId {
    OrganizationId::from("default")
}

/// One commit of so many agents.
pub async fn append(log: &Arc<dyn EventLog>, events: usize) {
    let agents = (0..events).map(|_| {
        let created = AgentCreated { name: "An agent".to_owned(), description: None };
        (Subject::new(SubjectKind::Agent, random::agent_id().as_str()), created.into())
    });
    let commit = Commit {
        organization: organization(),
        command_id: random::command_id(),
        actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
        request_id: random::request_id(),
        cause: None,
        now: clock::now(),
        expects: Expects::Streams(Vec::new()),
        events: agents.collect(),
    };
    log.append(commit).await.expect("appended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_catches_up_and_goes_on_live_without_a_gap_or_a_repetition() {
    let site = Site::start_with(OPEN).await;
    for _ in 0..60 {
        append(&site.services.log, 100).await;
    }
    let mut stream = Stream::open(&site.http, "", None).await;
    let log = site.services.log.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..400 {
            append(&log, 10).await;
        }
        log.head(&organization()).await.expect("a head")
    });
    let mut expected = 0;
    for _ in 0..10_000 {
        expected += 1;
        let frame = stream.next().await.expect("the stream goes on");
        assert_eq!((frame.id, &frame.data["seq"]), (expected, &json!(expected)));
    }
    let head = writing.await.expect("written");
    while Seq(expected) < head {
        expected += 1;
        assert_eq!(stream.next().await.expect("the stream goes on").id, expected);
    }
    append(&site.services.log, 1).await;
    let live = stream.next().await.expect("news");
    let listed = site.http.get(&format!("/events?after={expected}")).await.data()[0].clone();
    assert_eq!((live.id, live.event.as_str(), live.data), (expected + 1, "AgentCreated", as_sent(&listed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_cut_off_resumes_after_the_last_event_it_saw() {
    let site = Site::start_with(OPEN).await;
    append(&site.services.log, 99).await;
    let mut first = Stream::open(&site.http, "", None).await;
    for expected in 1..=42 {
        assert_eq!(first.next().await.expect("an event").id, expected);
    }
    drop(first);
    // The header is what a browser sends by itself; it goes before the address that was opened first.
    let mut second = Stream::open(&site.http, "?after=0", Some(42)).await;
    for expected in 43..=100 {
        assert_eq!(second.next().await.expect("an event").id, expected);
    }
    let mut third = Stream::open(&site.http, "?after=99", None).await;
    assert_eq!(third.next().await.expect("an event").id, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_moves_its_position_past_what_it_leaves_out() {
    let site = Site::start_with(&[("BINDERY_STREAM_ENDS_AFTER_MS", "1000")]).await;
    append(&site.services.log, 100).await;
    let mut stream = Stream::open(&site.http, "?types=KeyMinted", None).await;
    let minted = stream.next().await.expect("the key of this test");
    assert_eq!((minted.id, minted.event.as_str()), (1, "KeyMinted"));
    assert_eq!(stream.next().await, None, "the stream ends when its time is over");
    assert_eq!(stream.position, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_shows_that_it_lives() {
    let variables = [OPEN, &[("BINDERY_STREAM_HEARTBEAT_MS", "20")]].concat();
    let site = Site::start_with(&variables).await;
    let mut stream = Stream::open(&site.http, "?after=1", None).await;
    while stream.heartbeats < 3 {
        let chunk = tokio::time::timeout(OVERDUE, stream.response.chunk()).await.expect("a sign of life");
        let text = String::from_utf8(chunk.expect("it is not cut").expect("it goes on").to_vec());
        text.expect("UTF-8").split_terminator("\n\n").for_each(|block| {
            assert!(stream.read(block).is_none(), "nothing happened: {block}");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_hears_nothing_of_what_happens_after() {
    let site = Site::start_with(OPEN).await;
    let listener = site.http_as("default", &["audit:read"]).await;
    let id = key_text::parse(&listener.key).expect("a key").key_id.to_owned();
    let mut stream = Stream::open(&listener, "", None).await;
    for expected in 1..=2 {
        assert_eq!(stream.next().await.expect("an event").id, expected);
    }
    site.http.delete(&format!("/keys/{id}")).await.data();
    append(&site.services.log, 1).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_events_are_not_in_the_stream() {
    let site = Site::start_with(OPEN).await;
    let other = site.http_as("other", &["audit:read"]).await;
    let mut stream = Stream::open(&other, "", None).await;
    let own = stream.next().await.expect("the key of the other");
    append(&site.services.log, 50).await;
    site.http_as("other", &["audit:read"]).await;
    let next = stream.next().await.expect("the next key of the other");
    assert_eq!((own.id, next.id, next.event.as_str()), (1, 2, "KeyMinted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_the_log_is_refused_and_so_is_what_is_none() {
    let site = Site::start_with(OPEN).await;
    for query in ["?after=2", "?after=-1", "?after=x", "?types=Nonsense", "?limit=5"] {
        let answer = site.http.get(&format!("/events/stream{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_so_many_streams_and_no_more_and_gets_a_place_back() {
    let site = Site::start_with(OPEN).await;
    let mut streams = Vec::new();
    for _ in 0..domain::limits::STREAMS_MAX {
        streams.push(Stream::open(&site.http, "", None).await);
    }
    let refused = site.http.get("/events/stream").await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert!(refused.header("retry-after").is_some());
    let other = site.http_as("other", &["audit:read"]).await;
    Stream::open(&other, "", None).await;

    drop(streams.pop());
    // The server sees that the client left when it sends the next event.
    let give_up = std::time::Instant::now() + OVERDUE;
    loop {
        append(&site.services.log, 1).await;
        let request = site.http.request("GET", "/events/stream").bearer_auth(&site.http.key);
        if request.send().await.expect("an answer").status() == 200 {
            break;
        }
        assert!(std::time::Instant::now() < give_up, "the place was not given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams_at_once() {
    let site = Site::start_with(OPEN).await;
    let mut stream = Stream::open(&site.http, "?after=1", None).await;
    let started = std::time::Instant::now();
    let site = site.restarted(OPEN).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(stream.next().await, None);
    let mut resumed = Stream::open(&site.http, "", Some(stream.position)).await;
    assert_eq!(resumed.next().await.expect("the key of this test").id, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_off_again_and_again_gets_every_event_once_and_in_order() {
    let (site, events) = (Site::start_with(OPEN).await, tier(1_000, 10_000));
    let log = site.services.log.clone();
    // Half is there before, the rest comes while it is read; the key is the first.
    for _ in 0..events / 200 {
        append(&log, 100).await;
    }
    let writing = tokio::spawn(async move {
        for _ in 0..events / 20 {
            append(&log, 10).await;
        }
    });
    let (mut dice, mut position, mut cuts) = (Dice(7), 0, 0);
    let last = 1 + (events / 200 * 100 + events / 20 * 10) as u64;
    let started = std::time::Instant::now();
    while position < last {
        let mut stream = Stream::open(&site.http, "", Some(position)).await;
        for _ in 0..=dice.below(last / 20) {
            let frame = stream.next().await.expect("the stream goes on");
            position += 1;
            assert_eq!((frame.id, &frame.data["seq"]), (position, &json!(position)));
            if position == last {
                break;
            }
        }
        cuts += 1;
    }
    writing.await.expect("written");
    assert!(cuts > 10, "{cuts}");
    let took = started.elapsed().as_secs_f64();
    println!("{last} events over {cuts} connections, {took:.1} s: {:.0} events/s", last as f64 / took);
}
