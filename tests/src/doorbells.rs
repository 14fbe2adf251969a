//! Doorbells that are lost, doubled, overtaken or late, and projectors that are killed at any request they make: after
//! the newest doorbell the views are those of a fresh fold, whatever happened before, and so they are after a sweep
//! when the newest is lost.

use crate::aws::Cloud;
use crate::aws::faults::Moment;
use crate::aws::plumbing::{Doorbell, batch};
use crate::aws::streams::Reader;
use crate::dice::Dice;
use crate::http::Http;
use events::OrganizationId;
use functions::reactions::{project, sweep};
use infra::storage::dynamodb::tables::TableName;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Steps of one schedule.
const STEPS: usize = 60;
/// More requests than a projector makes for a few events: a kill may come too late, which is a schedule too.
const REQUESTS: u64 = 8;

/// What came to pass, so that mischief that never happened is noticed.
#[derive(Debug, Default)]
struct Tally {
    commits: u32,
    lost: u32,
    doubled: u32,
    overtaken: u32,
    late: u32,
    killed: u32,
    together: u32,
}

struct Schedule<'c> {
    cloud: &'c Cloud,
    http: Http,
    heads: Reader,
    dice: Dice,
    /// Rung and not delivered yet, oldest first.
    held: Vec<Doorbell>,
    delivered: Vec<Doorbell>,
    tally: Tally,
}

impl Schedule<'_> {
    async fn commit(&mut self) {
        self.tally.commits += 1;
        let name = format!("Agent {}", self.tally.commits);
        self.http.post("/agents", json!({ "name": name })).await.data();
        self.held.extend(self.heads.read().await.iter().filter_map(|record| Doorbell::of(record, "HEAD")));
    }

    async fn ring(&mut self, doorbell: Doorbell) {
        let answer =
            self.cloud.fleet.ask(project::REACTION.name, &batch(std::slice::from_ref(&doorbell))).await;
        assert!(answer.is_ok(), "{answer:?}");
        self.delivered.push(doorbell);
    }

    /// The projector dies at one of its requests, or after its answer.
    async fn ring_and_kill(&mut self, doorbell: Doorbell) {
        let moment = if self.dice.below(2) == 0 { Moment::Before } else { Moment::After };
        let caught = self.cloud.dynamodb.trap(self.dice.below(REQUESTS), moment);
        let killed = async {
            if caught.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let answer = self
            .cloud
            .fleet
            .invoke_unless(project::REACTION.name, &batch(std::slice::from_ref(&doorbell)), killed)
            .await;
        self.tally.killed += u32::from(answer.is_err());
        self.cloud.dynamodb.free();
    }

    async fn step(&mut self) {
        match self.dice.below(10) {
            0..=2 => self.commit().await,
            3 if !self.held.is_empty() => {
                let doorbell = self.held.remove(0);
                self.ring(doorbell).await;
            }
            4 => {
                let Some(at) = self.dice.pick(&self.held) else { return };
                self.tally.overtaken += u32::from(at > 0);
                let doorbell = self.held.remove(at);
                self.ring(doorbell).await;
            }
            5 => {
                let Some(at) = self.dice.pick(&self.held) else { return };
                self.tally.doubled += 1;
                let doorbell = self.held[at].clone();
                self.ring(doorbell).await;
            }
            6 => {
                let Some(at) = self.dice.pick(&self.held) else { return };
                self.tally.lost += 1;
                self.held.remove(at);
            }
            7 => {
                let Some(at) = self.dice.pick(&self.delivered) else { return };
                self.tally.late += 1;
                let doorbell = self.delivered[at].clone();
                self.ring(doorbell).await;
            }
            8 => {
                let Some(at) = self.dice.pick(&self.held) else { return };
                let doorbell = self.held[at].clone();
                self.ring_and_kill(doorbell).await;
            }
            _ => {
                // The queue lets one doorbell of an organization through at a time; the sweeper asks nobody.
                let Some(at) = self.dice.pick(&self.held) else { return };
                self.tally.together += 1;
                let doorbell = self.held.remove(at);
                let (cloud, event) = (self.cloud, batch(std::slice::from_ref(&doorbell)));
                let (rung, _) = tokio::join!(cloud.fleet.ask(project::REACTION.name, &event), cloud.sweep());
                assert!(rung.is_ok(), "{rung:?}");
                self.delivered.push(doorbell);
            }
        }
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        let Self { commits, lost, doubled, overtaken, late, killed, together } = other;
        self.commits += commits;
        self.lost += lost;
        self.doubled += doubled;
        self.overtaken += overtaken;
        self.late += late;
        self.killed += killed;
        self.together += together;
    }
}

async fn views_survive(seed: u64) -> Tally {
    let cloud = Cloud::deploy().await;
    let http = cloud.http_as("clinic").await;
    let heads = cloud.resources.names.table(TableName::Heads);
    let heads = Reader::of(cloud.resources.dynamodb.clone(), &heads).await;
    let mut schedule = Schedule {
        cloud: &cloud,
        http,
        heads,
        dice: Dice(seed),
        held: Vec::new(),
        delivered: Vec::new(),
        tally: Tally::default(),
    };
    for _ in 0..STEPS {
        schedule.step().await;
    }
    let (store, clinic) = (cloud.store().await, OrganizationId::from("clinic"));
    let compare = async || store.compare_projections(&clinic).await.expect("the log can be folded");
    // The newest doorbell is enough: what older ones would have told is pulled with it, and nobody sweeps.
    schedule.commit().await;
    let newest = schedule.held.pop().expect("a commit rings");
    assert!(!compare().await.equal, "seed {seed}: nobody was told yet of the last commit");
    schedule.ring(newest).await;
    let rung = compare().await;
    assert!(rung.equal, "seed {seed}: {rung:?}");

    // The last commit's doorbell is lost, whatever the dice said.
    schedule.commit().await;
    assert!(!compare().await.equal, "seed {seed}: the last doorbell was lost, so the views are behind");
    cloud.sweep().await;
    let swept = compare().await;
    assert!(swept.equal, "seed {seed}: {swept:?}");
    assert!(swept.head.0 > u64::from(schedule.tally.commits), "the key and an event for each agent");
    schedule.tally
}

#[tokio::test(flavor = "multi_thread")]
async fn views_end_as_a_fresh_fold_whatever_became_of_doorbells_and_projectors() {
    let mut total = Tally::default();
    for seed in 1..=4 {
        total.add(&views_survive(seed).await);
    }
    let Tally { commits, lost, doubled, overtaken, late, killed, together } = total;
    let each = [commits, lost, doubled, overtaken, late, killed, together];
    assert!(each.iter().all(|count| *count > 0), "some mischief never happened: {total:?}");
}

/// The line that counts what a function did; a process's lines arrive a moment after its answer.
async fn counted_by(cloud: &Cloud, function: &str) -> Value {
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let lines = cloud.fleet.lines();
        let texts = lines.iter().filter(|line| line.function == function).map(|line| &line.text);
        let mut values = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(counted) = values.find(|line| line["_aws"].is_object()) {
            return counted;
        }
        assert!(Instant::now() < give_up, "{function} counted nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_found_is_counted_although_one_organization_is_broken() {
    let cloud = Cloud::deploy().await;
    for organization in ["broken", "whole"] {
        cloud.mint(organization).await;
    }
    let (wire, table) = (&cloud.resources.dynamodb, cloud.resources.names.table(TableName::Commits));
    for item in wire.scan(&table).await {
        if item["organization"]["S"] == "broken"
            && item["item"]["S"].as_str().is_some_and(|it| it.starts_with("C#"))
        {
            let key = json!({ "organization": item["organization"], "item": item["item"] });
            wire.call("DynamoDB_20120810.DeleteItem", json!({ "TableName": table, "Key": key })).await;
        }
    }
    let failed = cloud.fleet.ask(sweep::REACTION.name, &json!({})).await;
    failed.expect_err("the alarm hears of the broken one");
    let counted = counted_by(&cloud, sweep::REACTION.name).await;
    assert_eq!((&counted["OrganizationsLate"], &counted["Errors"]), (&json!(1), &json!(1)), "{counted}");
}
