//! Calls that would have to wait: answered in time, and nothing of them is left on the database.

use crate::desk::Desk;
use domain::limits::{POOL_SIZE, POOL_WAIT, READS_AT_ONCE, STATEMENT_TIMEOUT};
use events::IntegrationKind;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// To one database at once.
const CALLS: usize = 1000;
/// What waking up may take while all of these are.
const CROWDED: Duration = Duration::from_millis(1500);
/// What an answer may take beyond its limit.
const MARGIN: Duration = Duration::from_secs(2);
/// How long a statement may be found on the server after its call was answered.
const GONE_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a lock is held by somebody else, unless the test lets it go before.
const HELD_SECONDS: u32 = 60;

/// Rooms, and beds whose updates take four seconds.
async fn desk(kind: IntegrationKind) -> Arc<Desk> {
    let tables = match kind {
        IntegrationKind::Postgres => {
            "CREATE TABLE rooms (id int PRIMARY KEY, note text);
             CREATE TABLE beds (id int PRIMARY KEY, note text);
             CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
                AS $$BEGIN PERFORM pg_sleep(4); RETURN NEW; END$$;
             CREATE TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW EXECUTE FUNCTION dawdle();"
        }
        IntegrationKind::Mysql => {
            "CREATE TABLE rooms (id int PRIMARY KEY, note varchar(40));
             CREATE TABLE beds (id int PRIMARY KEY, note varchar(40));
             CREATE TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW SET @slept = SLEEP(4);"
        }
    };
    let rows = "INSERT INTO rooms VALUES (1, 'a'), (2, 'a'); INSERT INTO beds VALUES (1, 'a')";
    let desk = Desk::open(kind, &format!("{tables}{rows}")).await;
    desk.bind(json!({
        "toolName": "look", "operation": "rooms.read", "inputs": [{ "param": "id", "arg": "id" }],
        "projection": [{ "path": ["rooms", "note"], "leaf": "note" }],
    }))
    .await;
    for (tool, table) in [("change", "rooms"), ("dawdle", "beds")] {
        desk.bind(json!({
            "toolName": tool, "operation": format!("{table}.update"), "keyColumn": "id", "keyParam": "id",
            "inputs": [{ "param": "note", "arg": "note" }],
        }))
        .await;
    }
    desk.publish().await;
    Arc::new(desk)
}

/// Somebody else's transaction.
struct Holder {
    desk: Arc<Desk>,
    client: Option<JoinHandle<()>>,
}

/// Takes a lock and waits until it is held.
async fn hold(desk: &Arc<Desk>, lock: &str) -> Holder {
    let sleep = match desk.engine.kind {
        IntegrationKind::Postgres => format!("SELECT pg_sleep({HELD_SECONDS})"),
        IntegrationKind::Mysql => format!("SELECT SLEEP({HELD_SECONDS})"),
    };
    let (held, sql) = (desk.clone(), format!("{lock}; {sleep};"));
    let client = std::thread::spawn(move || {
        // It is ended from outside, which its client calls an error.
        held.engine.try_admin_sql(&held.database, &sql).ok();
    });
    let holder = Holder { desk: desk.clone(), client: Some(client) };
    let give_up = Instant::now() + Duration::from_secs(60);
    while holder.sessions().is_empty() {
        assert!(Instant::now() < give_up, "the lock was never taken");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    holder
}

impl Holder {
    /// Ids of the sessions that sleep with the lock in hand.
    fn sessions(&self) -> Vec<String> {
        let database = &self.desk.database;
        let found = self.desk.sql(&match self.desk.engine.kind {
            IntegrationKind::Postgres => format!(
                "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'
                    AND query LIKE 'SELECT pg_sleep({HELD_SECONDS})%'"
            ),
            IntegrationKind::Mysql => format!(
                "SELECT ID FROM information_schema.PROCESSLIST
                  WHERE DB = '{database}' AND INFO = 'SELECT SLEEP({HELD_SECONDS})'"
            ),
        });
        found.lines().map(str::to_owned).collect()
    }

    fn let_go(mut self) {
        for session in self.sessions() {
            self.desk.sql(&match self.desk.engine.kind {
                IntegrationKind::Postgres => format!("SELECT pg_terminate_backend({session})"),
                IntegrationKind::Mysql => format!("KILL CONNECTION {session}"),
            });
        }
        self.client.take().expect("it was started").join().expect("the client does not panic");
    }
}

const ROW: &str = "BEGIN; UPDATE rooms SET note = 'theirs' WHERE id = 1";

fn table(kind: IntegrationKind) -> &'static str {
    match kind {
        IntegrationKind::Postgres => "BEGIN; LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE",
        IntegrationKind::Mysql => "LOCK TABLES rooms WRITE",
    }
}

async fn gone(desk: &Desk, what: &str) {
    let answered = Instant::now();
    while desk.running() > 0 {
        assert!(answered.elapsed() < GONE_WITHIN, "{what}: the statement still runs");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn assert_timed_out(answer: &Value, code: &str, took: Duration, limit: Duration) {
    assert_eq!((&answer["outcome"], &answer["code"]), (&json!("timeout"), &json!(code)), "{answer}");
    assert!(took <= limit + MARGIN, "{took:?} for a limit of {limit:?}: {answer}");
}

async fn a_lock_is_waited_for_one_second(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let change = json!({ "arguments": { "id": 1, "note": "mine" } });
    let look = json!({ "arguments": { "id": 1 } });
    // Connections that are open already, so that only the wait is timed.
    assert_eq!(desk.call("look", json!({ "id": 2 })).await["outcome"], "ok");
    assert_eq!(desk.call("change", json!({ "id": 2, "note": "b" })).await["outcome"], "ok");
    for (lock, tool, body) in [(ROW, "change", &change), (table(kind), "look", &look)] {
        let holder = hold(&desk, lock).await;
        let (answer, took) = desk.timed(tool, body.clone()).await;
        assert_timed_out(&answer, "lock_timeout", took, Duration::from_secs(1));
        gone(&desk, tool).await;
        let mut hurried = body.clone();
        hurried["context"] = json!({ "deadlineMs": 300 });
        let (answer, took) = desk.timed(tool, hurried).await;
        assert_timed_out(&answer, "statement_timeout", took, Duration::from_millis(300));
        gone(&desk, tool).await;
        holder.let_go();
        let (answer, _) = desk.timed(tool, body.clone()).await;
        assert_eq!(answer["outcome"], "ok", "nothing is left of the two tries: {answer}");
    }
    assert_eq!(desk.sql("SELECT note FROM rooms WHERE id = 1"), "mine");
}

/// How long it takes until somebody else may lock the bed. No trigger runs for that.
fn bed_is_free_after(desk: &Desk) -> Duration {
    let waiting = match desk.engine.kind {
        IntegrationKind::Postgres => "SET lock_timeout = '10s'",
        IntegrationKind::Mysql => "SET innodb_lock_wait_timeout = 10",
    };
    let started = Instant::now();
    desk.sql(&format!("{waiting}; BEGIN; SELECT note FROM beds WHERE id = 1 FOR UPDATE; ROLLBACK"));
    started.elapsed()
}

async fn a_slow_write_is_cancelled_at_its_deadline(kind: IntegrationKind) {
    let desk = desk(kind).await;
    match kind {
        IntegrationKind::Postgres => {}
        // A user may only kill what runs as that user, and a trigger runs as the one who defined it.
        IntegrationKind::Mysql => {
            let user = desk.user();
            desk.sql(&format!(
                "DROP TRIGGER slow;
                 CREATE DEFINER = {user} TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW SET @slept = SLEEP(4)"
            ));
        }
    }
    let body = json!({ "arguments": { "id": 1, "note": "b" }, "context": { "deadlineMs": 300 } });
    let (answer, took) = desk.timed("dawdle", body).await;
    assert_timed_out(&answer, "statement_timeout", took, Duration::from_millis(300));
    let freed = bed_is_free_after(&desk);
    assert!(freed < GONE_WITHIN, "the write held its lock for {freed:?}");
    gone(&desk, "dawdle").await;
    assert_eq!(desk.sql("SELECT note FROM beds"), "a");
    let (answer, took) = desk.timed("dawdle", json!({ "arguments": { "id": 1, "note": "b" } })).await;
    assert_eq!(answer["outcome"], "ok", "{answer}");
    assert!(took >= Duration::from_secs(4), "the trigger was not slow: {took:?}");
}

/// The most connections that the server saw until `over`.
async fn watch_connections(desk: Arc<Desk>, over: Arc<AtomicBool>) -> usize {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        let desk = desk.clone();
        let seen = tokio::task::spawn_blocking(move || desk.connections()).await;
        most = most.max(seen.expect("it does not panic"));
    }
    most
}

/// What so many calls at once are told.
async fn crowd(desk: &Arc<Desk>, calls: usize) -> Vec<Value> {
    let calls = (0..calls).map(|_| {
        let desk = desk.clone();
        tokio::spawn(async move { desk.call("look", json!({ "id": 1 })).await })
    });
    let told = join_all(calls).await.into_iter();
    told.map(|told| told.expect("a call does not panic")).collect()
}

async fn calls_beyond_the_pool_are_told_at_once(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let holder = hold(&desk, table(kind)).await;
    let over = Arc::new(AtomicBool::new(false));
    let watched = tokio::spawn(watch_connections(desk.clone(), over.clone()));
    // The connections that there may be are opened before, while there is time for that.
    for answer in crowd(&desk, POOL_SIZE * READS_AT_ONCE).await {
        assert_ne!(answer["outcome"], "ok", "nobody can read a locked table: {answer}");
    }
    let (mut waited, mut surplus) = (0, 0);
    for answer in crowd(&desk, CALLS).await {
        match answer["outcome"].as_str() {
            Some("timeout") => waited += 1,
            Some("unavailable") => {
                surplus += 1;
                assert_eq!(answer["code"], "too_many_connections", "{answer}");
                assert!(answer["retryAfterMs"].as_u64().is_some_and(|after| after > 0), "{answer}");
                let took = answer["timing"]["databaseMs"].as_f64().expect("milliseconds");
                assert!(took <= (POOL_WAIT + CROWDED).as_secs_f64() * 1000.0, "{answer}");
            }
            _ => panic!("nobody can read a locked table: {answer}"),
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(
        waited > 0 && surplus >= CALLS - POOL_SIZE * READS_AT_ONCE,
        "{waited} waited, {surplus} were told"
    );
    let most = watched.await.expect("it does not panic");
    assert!((1..=POOL_SIZE).contains(&most), "{most} connections");
    holder.let_go();
    assert_eq!(desk.call("look", json!({ "id": 1 })).await["outcome"], "ok");
    match kind {
        IntegrationKind::Postgres => {
            let log = std::fs::read_to_string(&desk.engine.log).expect("a log");
            assert!(!log.contains("too many "), "the server had to refuse a connection");
        }
        IntegrationKind::Mysql => {
            let refused = desk.sql("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'");
            assert!(refused.ends_with("\t0"), "{refused}");
        }
    }
}

async fn a_closed_connection_is_replaced(kind: IntegrationKind) {
    let desk = desk(kind).await;
    for _ in 0..3 {
        assert_eq!(desk.call("look", json!({ "id": 1 })).await["outcome"], "ok");
        assert_eq!(desk.call("change", json!({ "id": 2, "note": "b" })).await["outcome"], "ok");
        assert!(desk.connections() > 0, "the next call would find a warm connection");
        desk.end_connections();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_waited_for_one_second_on_postgres() {
    a_lock_is_waited_for_one_second(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_waited_for_one_second_on_mariadb() {
    a_lock_is_waited_for_one_second(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_write_is_cancelled_at_its_deadline_on_postgres() {
    a_slow_write_is_cancelled_at_its_deadline(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_write_is_cancelled_at_its_deadline_on_mariadb() {
    a_slow_write_is_cancelled_at_its_deadline(IntegrationKind::Mysql).await;
}

/// MariaDB refuses the KILL of a thread that is inside of another definer's trigger. The session's own limit ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_of_another_user_ends_at_the_ceiling_and_is_rolled_back_on_mariadb() {
    let desk = desk(IntegrationKind::Mysql).await;
    // Longer than the ceiling, so that it is the ceiling that ends it.
    desk.sql(
        "DROP TRIGGER slow; CREATE TRIGGER slow BEFORE UPDATE ON beds FOR EACH ROW SET @slept = SLEEP(30)",
    );
    let body = json!({ "arguments": { "id": 1, "note": "b" }, "context": { "deadlineMs": 300 } });
    let (answer, took) = desk.timed("dawdle", body).await;
    assert_timed_out(&answer, "statement_timeout", took, Duration::from_millis(300));
    let freed = bed_is_free_after(&desk);
    assert!(freed < STATEMENT_TIMEOUT + MARGIN, "the write held its lock for {freed:?}");
    assert_eq!(desk.sql("SELECT note FROM beds"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_pool_are_told_at_once_on_postgres() {
    calls_beyond_the_pool_are_told_at_once(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_pool_are_told_at_once_on_mariadb() {
    calls_beyond_the_pool_are_told_at_once(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_database_closed_is_replaced_on_postgres() {
    a_closed_connection_is_replaced(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_database_closed_is_replaced_on_mariadb() {
    a_closed_connection_is_replaced(IntegrationKind::Mysql).await;
}
