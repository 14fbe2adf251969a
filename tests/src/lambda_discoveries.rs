//! Discoveries on Lambda: one function asks for them, another runs them, and either may come to its end first.

use crate::aws::Cloud;
use crate::aws::faults::Moment;
use crate::aws::streams::Reader;
use crate::engines::postgres;
use crate::http::{Answer, Http};
use domain::limits::DISCOVERY_LEASE;
use functions::reactions::discover;
use infra::storage::dynamodb::discoveries;
use infra::storage::dynamodb::tables::TableName;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WORKER: &str = discover::REACTION.name;
const OVERDUE: Duration = Duration::from_secs(20);
/// Discoveries answer before anybody can have run them.
const AT_ONCE: &[(&str, &str)] = &[("BINDERY_DISCOVERY_ANSWER_AFTER_MS", "1")];
/// The one request with which the worker commits.
const COMMITS: &str = "TransactWriteItems";

struct Desk {
    cloud: Cloud,
    http: Http,
}

impl Desk {
    /// A clinic is connected; no stream wakes anybody.
    async fn open() -> Self {
        let cloud = Cloud::deploy_with(AT_ONCE).await;
        let http = cloud.http_as("clinic").await.following();
        let owner = postgres().owner(&postgres().clinic());
        let credentials = json!({ "credentials": {
            "host": owner.host, "port": owner.port, "database": owner.database, "user": owner.user,
            "password": owner.password.expose(), "sslmode": "verify-full", "ca_pem": owner.ca_pem,
        }});
        http.post("/integrations/postgres/connect", credentials).await.data();
        Self { cloud, http }
    }

    /// Asks for a discovery that nobody runs yet; its id.
    async fn discover(&self) -> String {
        let answer = self.http.post("/integrations/postgres/discover", json!({})).await;
        assert_eq!((answer.status, &answer.data()["status"]), (202, &json!("running")), "{}", answer.text);
        answer.data()["discoveryId"].as_str().expect("an id").to_owned()
    }

    async fn look(&self, id: &str) -> Answer {
        self.http.get(&format!("/integrations/postgres/discoveries/{id}")).await
    }

    /// The records of jobs, as the table's stream hands them to the worker.
    async fn jobs(&self) -> Reader {
        let table = self.cloud.resources.names.table(TableName::Discoveries);
        Reader::of(self.cloud.resources.dynamodb.clone(), &table).await
    }

    async fn discovered(&self) -> Vec<Value> {
        let events = self.http.get("/events?types=Discovered").await;
        events.data().as_array().expect("events").clone()
    }

    /// The worker's last sign of life becomes as old as its lease.
    async fn lease_runs_out(&self, id: &str) {
        let table = self.cloud.resources.names.table(TableName::Discoveries);
        let dynamodb = &self.cloud.resources.dynamodb;
        let items = dynamodb.scan(&table).await;
        let is_job = |item: &&Value| item["item"]["S"].as_str().is_some_and(|name| name.ends_with(id));
        let job = items.iter().find(is_job).expect("the job");
        let alive: i128 =
            job["alive"]["N"].as_str().and_then(|text| text.parse().ok()).expect("microseconds");
        let older = alive - DISCOVERY_LEASE.as_micros() as i128;
        let update = json!({
            "TableName": table,
            "Key": { "organization": job["organization"], "item": job["item"] },
            "UpdateExpression": "SET alive = :older",
            "ExpressionAttributeValues": { ":older": { "N": older.to_string() } },
        });
        dynamodb.call("DynamoDB_20120810.UpdateItem", update).await;
    }

    /// The worker is killed at the request with which it commits.
    async fn killed_while_committing(&self, event: &Value, moment: Moment) {
        let caught = self.cloud.dynamodb.trap_operation(COMMITS, moment);
        let killed = async { caught.await.expect("the worker commits") };
        let answer = self.cloud.fleet.invoke_unless(WORKER, event, killed).await;
        assert_eq!(answer.err().expect("no answer").0["errorMessage"], "killed");
    }

    async fn work(&self, event: &Value) -> u64 {
        let answer = self.cloud.fleet.ask(WORKER, event).await.expect("the worker's answer");
        answer["ran"].as_u64().expect("a number")
    }
}

/// The worker's event for a new job, once the stream has it.
async fn event(jobs: &mut Reader, id: &str) -> Value {
    let is_new_job = |record: &Value| {
        let item = record["dynamodb"]["Keys"]["item"]["S"].as_str().unwrap_or_default();
        record["eventName"] == "INSERT" && item.starts_with(discoveries::JOBS) && item.ends_with(id)
    };
    loop {
        if let Some(record) = jobs.next().await.into_iter().find(is_new_job) {
            return json!({ "Records": [record] });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_takes_longer_answers_202_and_is_polled_to_its_end() {
    let desk = Desk::open().await;
    let id = desk.discover().await;
    let running = desk.look(&id).await;
    assert_eq!(running.data(), &json!({ "discoveryId": id, "status": "running", "tablesRead": 0 }));
    assert_eq!(desk.discover().await, id, "who asks meanwhile joins it");
    let plumbing = desk.cloud.wire().await;
    let asked = Instant::now();
    let ended = loop {
        let answer = desk.look(&id).await;
        if answer.data()["status"] != "running" {
            break answer;
        }
        assert!(asked.elapsed() < OVERDUE, "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let (ended, discovered) = (ended.data(), desk.discovered().await);
    assert_eq!((&ended["status"], discovered.len()), (&json!("finished"), 1), "{ended}");
    assert!(ended["tablesRead"].as_u64() > Some(3), "{ended}");
    for field in ["objectCount", "fieldCount", "edgeCount", "operationCount", "schemaHash"] {
        assert_eq!(ended["result"][field], discovered[0]["data"][field], "{field}");
    }
    assert_eq!(plumbing.failed(), 0);
    assert_eq!(desk.look("dsc_none").await.refusal(404), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_whose_worker_was_killed_is_taken_over_when_its_lease_has_run_out() {
    let desk = Desk::open().await;
    let mut jobs = desk.jobs().await;
    let lost = desk.discover().await;
    let first = event(&mut jobs, &lost).await;
    desk.killed_while_committing(&first, Moment::Before).await;
    assert_eq!(desk.discovered().await, Vec::<Value>::new());
    assert_eq!(desk.discover().await, lost, "its lease has not run out");
    assert_eq!(desk.look(&lost).await.data()["status"], "running");

    desk.lease_runs_out(&lost).await;
    assert_eq!(desk.look(&lost).await.refusal(404), "not_found", "nobody ends it any more");
    let taken_over = desk.discover().await;
    assert_ne!(taken_over, lost);
    let second = event(&mut jobs, &taken_over).await;
    assert_eq!(desk.work(&second).await, 1);
    assert_eq!(desk.look(&taken_over).await.data()["status"], "finished");
    assert_eq!(desk.work(&first).await, 0, "the old record, when it comes again");
    assert_eq!(desk.discovered().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_killed_after_its_commit_commits_nothing_twice() {
    let desk = Desk::open().await;
    let mut jobs = desk.jobs().await;
    let id = desk.discover().await;
    let record = event(&mut jobs, &id).await;
    desk.killed_while_committing(&record, Moment::After).await;
    let committed = desk.discovered().await;
    assert_eq!(committed.len(), 1);
    assert_eq!(desk.look(&id).await.data()["status"], "running", "nobody said that it ended");
    assert_eq!(desk.work(&record).await, 1, "the record comes again");
    let ended = desk.look(&id).await;
    assert_eq!(ended.data()["result"]["schemaHash"], committed[0]["data"]["schemaHash"], "{}", ended.text);
    assert_eq!(desk.discovered().await, committed);
}
