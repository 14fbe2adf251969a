//! Events on the bus of a deployment: each at least once, in order, whatever becomes of requests and functions.

use crate::aws::Cloud;
use crate::aws::faults::Weather;
use crate::aws::streams::Reader;
use crate::aws::wire::Wire;
use crate::dice::{Dice, tier};
use crate::http::Http;
use crate::names::as_sent;
use crate::site::Site;
use crate::streaming::append;
use async_trait::async_trait;
use domain::limits::{BUS_BYTES, BUS_ENTRIES, COMMIT_BYTES};
use events::agent::AgentCreated;
use events::{Actor, ActorKind, OrganizationId, Subject, SubjectKind};
use functions::reactions::{catch_up, publish};
use functions::{clock, random};
use infra::bus::{Bus, BusUnavailable, Entry, Put};
use infra::storage::dynamodb::tables::TableName;
use infra::storage::{Commit, Expects};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const OVERDUE: Duration = Duration::from_secs(60);

/// A bus that fails as EventBridge may: it takes a part, or all and nobody is told.
struct Moody {
    dice: Mutex<Dice>,
    taken: Mutex<Vec<Entry>>,
    requests: Mutex<Vec<usize>>,
}

impl Moody {
    fn new(seed: u64) -> Self {
        Self { dice: Mutex::new(Dice(seed)), taken: Mutex::default(), requests: Mutex::default() }
    }

    fn seqs(&self) -> Vec<u64> {
        self.taken.lock().expect("not poisoned").iter().map(|entry| seq(&detail(entry))).collect()
    }
}

fn detail(entry: &Entry) -> Value {
    serde_json::from_str(&entry.detail).expect("JSON")
}

fn seq(detail: &Value) -> u64 {
    detail["seq"].as_u64().expect("a position")
}

#[async_trait]
impl Bus for Moody {
    async fn put(&self, entries: &[Entry]) -> Result<Put, BusUnavailable> {
        let bytes: usize = entries.iter().map(Entry::bytes).sum();
        assert!((1..=BUS_ENTRIES).contains(&entries.len()) && bytes <= BUS_BYTES, "{bytes}");
        self.requests.lock().expect("not poisoned").push(entries.len());
        let mut dice = self.dice.lock().expect("not poisoned");
        let mut taken = self.taken.lock().expect("not poisoned");
        match dice.below(10) {
            0 => Err(BusUnavailable("it is away".to_owned())),
            1 => {
                taken.extend_from_slice(entries);
                Err(BusUnavailable("its answer is lost".to_owned()))
            }
            2..=4 => {
                let refused = dice.below(entries.len() as u64) as usize;
                // Those behind the refused one may have been taken as well.
                let others = entries.iter().enumerate().filter(|(at, _)| *at != refused);
                taken.extend(others.map(|(_, entry)| entry.clone()));
                Ok(Put { taken: refused, refused: Some("ThrottlingException".to_owned()) })
            }
            _ => {
                taken.extend_from_slice(entries);
                Ok(Put { taken: entries.len(), refused: None })
            }
        }
    }
}

fn soon() -> Instant {
    Instant::now() + OVERDUE
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_put_and_none_is_left_behind_a_later_one() {
    let (site, default) = (Site::start().await, OrganizationId::from("default"));
    let events = 1 + tier(150, 2_000) as u64;
    for _ in 0..events / 50 {
        append(&site.services.log, 50).await;
    }
    let bus = Moody::new(1);
    loop {
        // What fails is asked for again, as by the platform.
        match site.services.publish_due(&bus, &default, soon()).await {
            Ok(published) if published.caught_up => break,
            Ok(_) | Err(_) => {}
        }
    }
    // An event that was refused comes again with all that were behind it: the last time each came is in order.
    let seqs = bus.seqs();
    let last: Vec<usize> = (1..=events)
        .map(|seq| seqs.iter().rposition(|it| *it == seq).unwrap_or_else(|| panic!("{seq} never came")))
        .collect();
    assert!(last.is_sorted(), "{seqs:?}");
    let first: Vec<usize> =
        (1..=events).map(|seq| seqs.iter().position(|it| *it == seq).expect("it came")).collect();
    assert!(seqs.len() > events as usize && !first.is_sorted(), "the bus was never moody");
    let requests = bus.requests.lock().expect("not poisoned").len();
    let again = site.services.publish_due(&bus, &default, soon()).await.expect("nothing to do");
    assert_eq!((again.events, bus.requests.lock().expect("not poisoned").len()), (0, requests));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_publish_at_once_take_turns() {
    let (site, default) = (Site::start().await, OrganizationId::from("default"));
    for _ in 0..4 {
        append(&site.services.log, 50).await;
    }
    struct Steady(Mutex<Vec<u64>>);
    #[async_trait]
    impl Bus for Steady {
        async fn put(&self, entries: &[Entry]) -> Result<Put, BusUnavailable> {
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.0.lock().expect("not poisoned").extend(entries.iter().map(|entry| seq(&detail(entry))));
            Ok(Put { taken: entries.len(), refused: None })
        }
    }
    let bus = Steady(Mutex::default());
    let one = || site.services.publish_due(&bus, &default, soon());
    let (a, b, c) = tokio::join!(one(), one(), one());
    let events: u64 = [a, b, c].into_iter().map(|done| done.expect("published").events).sum();
    assert_eq!((events, bus.0.into_inner().expect("not poisoned")), (201, (1..=201).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_for_the_bus_goes_without_its_data_and_says_where_that_is() {
    let (site, default) = (Site::start().await, OrganizationId::from("default"));
    // As large as a commit takes it, which is more than the bus does with what surrounds it there.
    let mut spare = (0..1_000).step_by(20);
    loop {
        let spare = spare.next().expect("one that fits a commit");
        let description = "x".repeat(COMMIT_BYTES - spare);
        let large = AgentCreated { name: "An agent".to_owned(), description: Some(description) };
        let commit = Commit {
            organization: default.clone(),
            command_id: random::command_id(),
            actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
            request_id: random::request_id(),
            cause: None,
            now: clock::now(),
            expects: Expects::Streams(Vec::new()),
            events: vec![(Subject::new(SubjectKind::Agent, random::agent_id().as_str()), large.into())],
        };
        if site.services.log.append(commit).await.is_ok() {
            break;
        }
    }
    append(&site.services.log, 1).await;
    let bus = Moody { dice: Mutex::new(Dice(0)), ..Moody::new(0) };
    while !site.services.publish_due(&bus, &default, soon()).await.is_ok_and(|done| done.caught_up) {}
    let taken: Vec<Value> = bus.taken.lock().expect("not poisoned").iter().map(detail).collect();
    let of = |wanted: u64| taken.iter().find(|it| seq(it) == wanted).expect("it came");
    let (whole, envelope) = (of(1), of(2));
    assert!(whole["dataOmitted"].is_null() && whole["data"].is_object());
    assert_eq!((&envelope["dataOmitted"], &envelope["data"]), (&json!(true), &Value::Null));
    assert_eq!((&envelope["type"], &envelope["organization"]), (&json!("AgentCreated"), &json!("default")));
    let read_at = envelope["readAt"].as_str().expect("an address").strip_prefix(&site.http.url);
    let read =
        site.http.get(read_at.and_then(|it| it.strip_prefix("/api/v1")).expect("of this server")).await;
    assert_eq!((&read.data()[0]["seq"], &read.data()[0]["hash"]), (&json!(2), &envelope["hash"]));
}

/// A queue that a rule of the account fills with what is on the bus.
struct Listener {
    wire: Wire,
    queue: Value,
}

impl Listener {
    async fn on(cloud: &Cloud) -> Self {
        let (wire, bus) = (cloud.resources.others.clone(), &cloud.resources.event_bus);
        let queue =
            wire.call("AmazonSQS.CreateQueue", json!({ "QueueName": format!("{bus}-listener") })).await;
        let queue = queue["QueueUrl"].clone();
        let wanted = json!({ "QueueUrl": queue, "AttributeNames": ["QueueArn"] });
        let attributes = wire.call("AmazonSQS.GetQueueAttributes", wanted).await;
        let pattern = json!({ "source": ["bindery"] }).to_string();
        let rule = json!({ "Name": "all", "EventBusName": bus, "EventPattern": pattern });
        wire.call("AWSEvents.PutRule", rule).await;
        let targets = json!([{ "Id": "queue", "Arn": attributes["Attributes"]["QueueArn"] }]);
        let targets = json!({ "Rule": "all", "EventBusName": bus, "Targets": targets });
        wire.call("AWSEvents.PutTargets", targets).await;
        Self { wire, queue }
    }

    /// What came, as soon as it is so many events of each of these organizations. A target may hear one twice.
    async fn heard(&self, organizations: &[(&str, usize)]) -> Vec<Value> {
        let (mut heard, give_up) = (Vec::<Value>::new(), Instant::now() + OVERDUE);
        let of = |heard: &[Value], organization: &str| {
            let its = heard.iter().filter(|it| it["detail"]["organization"] == organization);
            its.map(|it| seq(&it["detail"])).collect::<BTreeSet<_>>().len()
        };
        while organizations.iter().any(|(name, count)| of(&heard, name) < *count) {
            let wanted = json!({ "QueueUrl": self.queue, "MaxNumberOfMessages": 10 });
            let mut answer = self.wire.call("AmazonSQS.ReceiveMessage", wanted).await;
            for message in answer["Messages"].as_array_mut().into_iter().flatten() {
                heard.push(serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON"));
                let done = json!({ "QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"] });
                self.wire.call("AmazonSQS.DeleteMessage", done).await;
            }
            assert!(Instant::now() < give_up, "{} came: {organizations:?}", heard.len());
        }
        heard
    }
}

async fn create_agents(http: &Http, count: usize) {
    for _ in 0..count {
        http.post("/agents", json!({ "name": "An agent" })).await.data();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_hears_every_event_of_every_organization_as_it_happens() {
    let cloud = Cloud::deploy().await;
    let listener = Listener::on(&cloud).await;
    let plumbing = cloud.wire().await;
    let (clinic, other) = (cloud.http_as("clinic").await, cloud.http_as("other").await);
    tokio::join!(create_agents(&clinic, 12), create_agents(&other, 3));
    let heard = listener.heard(&[("clinic", 13), ("other", 4)]).await;
    for (http, organization, count) in [(&clinic, "clinic", 13), (&other, "other", 4)] {
        let listed = http.get("/events?limit=100").await.data().as_array().expect("events").clone();
        assert_eq!(listed.len(), count);
        for event in listed {
            let same = |it: &&Value| it["detail"]["id"] == event["id"];
            let heard = heard.iter().find(same).unwrap_or_else(|| panic!("{event} was not heard"));
            let mut expected = as_sent(&event);
            expected["organization"] = json!(organization);
            assert_eq!(heard["detail"], expected);
            assert_eq!((&heard["source"], &heard["detail-type"]), (&json!("bindery"), &event["type"]));
        }
    }
    assert_eq!(plumbing.failed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_bus_was_away_is_put_by_the_clock() {
    let cloud = Cloud::deploy().await;
    let listener = Listener::on(&cloud).await;
    let commits = cloud.resources.names.table(TableName::Commits);
    let mut commits = Reader::of(cloud.resources.dynamodb.clone(), &commits).await;
    cloud.events.becomes(Weather::Down);
    let http = cloud.http_as("clinic").await;
    create_agents(&http, 5).await;
    for record in commits.read().await {
        let woken = cloud.fleet.ask(publish::REACTION.name, &json!({ "Records": [record] })).await;
        woken.expect_err("the platform tries again, and gives up");
    }
    cloud.events.becomes(Weather::Fair);
    let event =
        json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let answer = cloud.fleet.ask(catch_up::REACTION.name, &event).await.expect("an answer");
    assert_eq!(answer, json!({ "published": 6 }));
    let heard = listener.heard(&[("clinic", 6)]).await;
    // A request that was late is sent again, and may land behind its successor.
    let seqs: BTreeSet<u64> = heard.iter().map(|it| seq(&it["detail"])).collect();
    assert_eq!(seqs, (1..=6).collect());
}
