//! What a database cannot tell, a person says; nothing that was said is asked for again.

use super::doubts::{Broken, FLIGHTS, Write};
use crate::cutter::{Break, How, Point};
use events::IntegrationKind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LOOK_AGAIN: Duration = Duration::from_millis(20);
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// Beyond the numbers of the writes themselves.
const WARM: usize = 5_000_000;

impl Broken {
    async fn calls(&self, query: &str) -> Vec<Value> {
        let path = format!("/agents/{}/calls?{query}", self.desk.agent);
        self.desk.site.http.get(&path).await.data().as_array().expect("a list").clone()
    }

    /// The record of this write.
    async fn record(&self, write: &Write) -> Value {
        let call = write.body["context"]["callId"].as_str().expect("an id");
        let records = self.calls(&format!("callId={call}")).await;
        records.last().unwrap_or_else(|| panic!("no record of {call}")).clone()
    }

    async fn settle(&self, id: &Value, body: Value) -> crate::http::Answer {
        let id = id.as_str().expect("an id");
        self.desk.site.http.post(&format!("/agents/{}/calls/{id}/settle", self.desk.agent), body).await
    }

    /// A write whose COMMIT never arrived, or whose answer did not.
    async fn in_doubt(&mut self, point: Point) -> Write {
        let write = self.write();
        let http = self.desk.site.http.with_key(&self.desk.site.http.key);
        self.warm(&http, write.tool, WARM + self.cases()).await;
        self.cutter.arm(Break { flight: FLIGHTS, point, how: How::Silent, part: 50 });
        let first = self.call(&http, &write).await.data().clone();
        assert_eq!(first["outcome"], "in_doubt", "{first}");
        write
    }
}

async fn what_asking_found_out_stands_in_the_record(kind: IntegrationKind) {
    let mut broken = Broken::open(kind).await;
    let write = broken.in_doubt(Point::Sent).await;
    let open = broken.calls("outcome=in_doubt&resolved=false").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((&open[0]["resolution"], &open[0]["outcome"]), (&Value::Null, &json!("in_doubt")));
    broken.cutter.mend();
    let mended = Instant::now();
    let known = loop {
        let record = broken.record(&write).await;
        if !record["resolution"].is_null() {
            break record;
        }
        assert!(mended.elapsed() < KNOWN_WITHIN, "never known: {record}");
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    assert_eq!(
        (&known["resolution"]["result"], &known["resolution"]["by"]),
        (&json!("committed"), &Value::Null)
    );
    assert_eq!(broken.calls("outcome=in_doubt&resolved=false").await, Vec::<Value>::new());
    assert_eq!(broken.calls("outcome=in_doubt&resolved=true").await.len(), 1);
    let late = broken.settle(&known["id"], json!({ "happened": false })).await;
    assert_eq!(late.refusal(409), "not_in_doubt");
    assert_eq!(broken.effects(&write).await, 1);
}

/// The database stays away, and the person has looked by another way.
async fn a_person_settles_what_cannot_be_asked(kind: IntegrationKind) {
    let mut broken = Broken::open(kind).await;
    let http = broken.desk.site.http.with_key(&broken.desk.site.http.key);

    let done = broken.in_doubt(Point::Sent).await;
    let record = broken.record(&done).await;
    let unknown = broken.settle(&json!("cal_0_unknown"), json!({ "happened": true })).await;
    assert_eq!(unknown.refusal(404), "not_found");
    let wrong = broken.settle(&record["id"], json!({ "happened": "yes", "why": "" })).await;
    assert_eq!(wrong.refusal(400), "validation_error");
    let note = "seen in the practice's own screen";
    let settled = broken.settle(&record["id"], json!({ "happened": true, "note": note })).await;
    let resolution = &settled.data()["resolution"];
    assert_eq!(
        (&resolution["result"], &resolution["note"], resolution["by"].is_string()),
        (&json!("committed"), &json!(note), true)
    );
    // Nothing is asked of a database that is away: the answer is kept.
    let again = broken.call(&http, &done).await;
    assert_eq!((&again.data()["outcome"], again.header("idempotent-replayed")), (&json!("ok"), Some("true")));
    broken.cutter.mend();
    assert_eq!(broken.effects(&done).await, 1);

    let undone = broken.in_doubt(Point::Before).await;
    broken.cutter.mend();
    assert_eq!(broken.effects(&undone).await, 0);
    let record = broken.record(&undone).await;
    let settled = broken.settle(&record["id"], json!({ "happened": false })).await;
    // Unless the database could tell by itself before the person did.
    match kind {
        IntegrationKind::Mysql => {
            assert_eq!(settled.data()["resolution"]["result"], "rolled_back", "{}", settled.body);
        }
        IntegrationKind::Postgres => {}
    }
    let again = broken.call(&http, &undone).await;
    assert_eq!(again.data()["outcome"], "ok", "it runs now: {}", again.body);
    assert_eq!(again.header("idempotent-replayed"), None);
    assert_eq!(broken.effects(&undone).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asking_found_out_stands_in_the_record_on_postgres() {
    what_asking_found_out_stands_in_the_record(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asking_found_out_stands_in_the_record_on_mariadb() {
    what_asking_found_out_stands_in_the_record(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_settles_what_cannot_be_asked_on_postgres() {
    a_person_settles_what_cannot_be_asked(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_settles_what_cannot_be_asked_on_mariadb() {
    a_person_settles_what_cannot_be_asked(IntegrationKind::Mysql).await;
}
