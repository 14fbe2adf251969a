//! What goes wrong with one database or with the server concerns those who call it then, and nobody else.

use crate::cutter::{Cutter, How};
use crate::desk::Desk;
use crate::engines::{Engine, engine};
use crate::http::Http;
use crate::site::{Site, all_scopes};
use events::IntegrationKind;
use infra::databases::Credentials;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DATABASES: usize = 10;
/// Dials that fail until no more are tried.
const FAILURES: usize = 5;
const CLOSES_WITHIN: Duration = Duration::from_secs(10);
/// After the server has ended.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An organization with one published read.
struct Tenant {
    http: Http,
    agent: String,
}

impl Tenant {
    async fn open(site: &Site, engine: &Engine, name: &str, credentials: &Credentials) -> Self {
        let http = site.http_as(name, &all_scopes()).await;
        site.connect_as(&http, engine, credentials).await;
        let agent = site.agent(&http).await;
        let look = json!({
            "toolName": "look", "operation": "rooms.read", "inputs": [{ "param": "id", "arg": "id" }],
            "projection": [{ "path": ["rooms", "note"], "leaf": "note" }],
        });
        site.bind(&http, &agent, engine, look).await;
        http.post(&format!("/agents/{agent}/publish"), json!({})).await.data();
        let tenant = Self { http, agent };
        assert_eq!(tenant.look().await["outcome"], "ok");
        tenant
    }

    async fn look(&self) -> Value {
        let path = format!("/agents/{}/skills/look/call", self.agent);
        let body = json!({ "arguments": { "id": 1 }, "context": { "deadlineMs": 500 } });
        self.http.post(&path, body).await.data().clone()
    }
}

async fn one_database_out_of_reach_is_told_at_once_and_the_others_do_not_notice(kind: IntegrationKind) {
    let (site, engine) = (Site::start().await, engine(kind));
    let database = engine.database(
        "CREATE TABLE rooms (id int PRIMARY KEY, note varchar(9)); INSERT INTO rooms VALUES (1, 'a')",
    );
    let credentials = engine.reader(&database);
    let cutter = Cutter::before(credentials.port).await;
    let away = Tenant::open(&site, engine, "away", &cutter.to(credentials.clone())).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut neighbours = Vec::new();
    for n in 1..DATABASES {
        let neighbour = Tenant::open(&site, engine, &format!("neighbour-{n}"), &credentials).await;
        let over = over.clone();
        neighbours.push(tokio::spawn(async move {
            let (mut served, mut wrong) = (0, Vec::new());
            while !over.load(Ordering::Relaxed) {
                let answer = neighbour.look().await;
                if answer["outcome"] == "ok" {
                    served += 1
                } else {
                    wrong.push(answer)
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            (served, wrong)
        }));
    }

    cutter.strike(How::Silent);
    // The connection that was warm has to be found dead first.
    assert_eq!(away.look().await["code"], "statement_timeout");
    let mut dialled = 0;
    loop {
        let answer = away.look().await;
        assert_eq!((&answer["outcome"], &answer["code"]), (&json!("unavailable"), &json!("connect_timeout")));
        if answer.get("retryAfterMs").is_some() {
            break;
        }
        dialled += 1;
        assert!(dialled <= FAILURES, "it is still dialled: {answer}");
    }
    cutter.mend();
    let mended = Instant::now();
    while away.look().await["outcome"] != "ok" {
        assert!(mended.elapsed() < CLOSES_WITHIN, "it is not dialled again");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    over.store(true, Ordering::Relaxed);
    for neighbour in neighbours {
        let (served, wrong) = neighbour.await.expect("it does not panic");
        assert!(served > 0 && wrong.is_empty(), "{served} were served, and {wrong:?}");
    }
}

/// A call that runs when the server is told to stop is answered, and of its connections none is left.
async fn a_server_that_stops_answers_what_runs(kind: IntegrationKind) {
    let desk = Desk::open(
        kind,
        match kind {
            IntegrationKind::Postgres => {
                "CREATE TABLE beds (id int PRIMARY KEY, note text); INSERT INTO beds VALUES (1, 'a');
                 CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
                    AS $$BEGIN PERFORM pg_sleep(4); RETURN NEW; END$$;
                 CREATE TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW EXECUTE FUNCTION dawdle();"
            }
            IntegrationKind::Mysql => {
                "CREATE TABLE beds (id int PRIMARY KEY, note varchar(9)); INSERT INTO beds VALUES (1, 'a');
                 CREATE TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW SET @slept = SLEEP(4);"
            }
        },
    )
    .await;
    let dawdle = json!({
        "toolName": "dawdle", "operation": "beds.update", "keyColumn": "id", "keyParam": "id",
        "inputs": [{ "param": "note", "arg": "note" }],
    });
    desk.bind(dawdle).await;
    desk.publish().await;
    let (http, path) = (desk.site.http.clone(), format!("/agents/{}/skills/dawdle/call", desk.agent));
    let body = json!({ "arguments": { "id": 1, "note": "b" } });
    let running = tokio::spawn(async move { http.post(&path, body).await.data().clone() });
    // While a trigger runs, MariaDB shows its definer as the connection's user.
    let sleeping = format!(
        "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND STATE = 'User sleep'",
        desk.database
    );
    let runs = || match kind {
        IntegrationKind::Postgres => desk.running() > 0,
        IntegrationKind::Mysql => desk.sql(&sleeping) != "0",
    };
    while !runs() {
        if running.is_finished() {
            panic!("it was never seen to run: {}", running.await.expect("an answer"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let Desk { site, engine, database, agent } = desk;
    let site = site.restarted(&[]).await;
    let answer = running.await.expect("it is answered");
    assert_eq!(answer["outcome"], "ok", "{answer}");
    let desk = Desk { site, engine, database, agent };
    assert_eq!(desk.sql("SELECT note FROM beds"), "b");
    let stopped = Instant::now();
    while desk.connections() > 0 {
        assert!(stopped.elapsed() < GONE_WITHIN, "connections are left");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answers_what_runs_on_postgres() {
    a_server_that_stops_answers_what_runs(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answers_what_runs_on_mariadb() {
    a_server_that_stops_answers_what_runs(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_out_of_reach_is_told_at_once_and_the_others_do_not_notice_on_postgres() {
    one_database_out_of_reach_is_told_at_once_and_the_others_do_not_notice(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_out_of_reach_is_told_at_once_and_the_others_do_not_notice_on_mariadb() {
    one_database_out_of_reach_is_told_at_once_and_the_others_do_not_notice(IntegrationKind::Mysql).await;
}
