//! Reads of several calls on one connection, against real servers: each gets its own answer, and none pays for another
//! that is slow, stopped or refused.

use crate::engines;
use domain::arguments::Bound;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Shape, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use futures_util::future::join_all;
use infra::databases::Credentials;
use infra::databases::dial::Dialer;
use infra::databases::driver::Drivers;
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One engine, and how it spells what the tests need.
struct Side {
    kind: IntegrationKind,
    credentials: Credentials,
    pools: Pools,
    key: PoolKey,
    source: CredentialSource,
    echo: Statement,
    sleep: Statement,
    refused: Statement,
}

impl Side {
    fn postgres() -> Self {
        let engine = engines::postgres();
        let credentials = engine.admin(&engine.database(""));
        let texts =
            ["SELECT $1::text", "SELECT pg_catalog.pg_sleep($1::float8)::text", "SELECT 1 / $1::int4"];
        Self::new(IntegrationKind::Postgres, credentials, texts)
    }

    fn mysql() -> Self {
        let engine = engines::mysql();
        let credentials = engine.admin(&engine.database(""));
        let texts = ["SELECT CONCAT(?)", "SELECT SLEEP(?)", "SELECT -9223372036854775807 - 2 - ABS(?)"];
        Self::new(IntegrationKind::Mysql, credentials, texts)
    }

    fn both() -> [Self; 2] {
        [Self::postgres(), Self::mysql()]
    }

    fn new(kind: IntegrationKind, credentials: Credentials, texts: [&str; 3]) -> Self {
        let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
        let known = credentials.clone();
        let source: CredentialSource = Arc::new(move || {
            let known = known.clone();
            Box::pin(async move { Ok(known) })
        });
        let [echo, sleep, refused] = texts;
        Self {
            kind,
            credentials,
            pools: Pools::new(Drivers { dialer: Arc::new(Dialer::new(guard)) }),
            key: PoolKey { organization: OrganizationId::from("live"), kind, credential_version: 1 },
            source,
            echo: statement(kind, echo, FieldType::String),
            sleep: statement(kind, sleep, FieldType::Float),
            refused: statement(kind, refused, FieldType::Integer),
        }
    }

    async fn read(
        &self,
        statement: &Statement,
        bound: Bound,
        deadline: Instant,
    ) -> Result<Vec<Vec<serde_json::Value>>, Fault> {
        let done = self.pools.read(&self.key, &self.source, statement, &[bound], deadline).await;
        done.map(|rows| rows.rows).map_err(|error| error.fault)
    }

    async fn echoes(&self, value: &str) {
        let rows = self.read(&self.echo, Bound::Text(value.into()), soon()).await;
        assert_eq!(rows, Ok(vec![vec![json!(value)]]), "{:?}", self.kind);
    }

    /// One connection, on which all statements are prepared: each is one message from here on, and they keep their order.
    async fn warm(&self) {
        self.echoes("warm").await;
        self.read(&self.sleep, Bound::Float(0.0), soon()).await.unwrap();
        self.read(&self.refused, Bound::Integer(1), soon()).await.ok();
    }

    fn connections(&self) -> usize {
        self.pools.usage(self.kind).used
    }

    /// Sleeping statements that the server still runs.
    fn sleeping(&self) -> bool {
        let (engine, database, sql) = match self.kind {
            IntegrationKind::Postgres => (
                engines::postgres(),
                "postgres",
                format!(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state = 'active' \
                     AND query LIKE '%sleep%'",
                    self.credentials.database
                ),
            ),
            IntegrationKind::Mysql => (
                engines::mysql(),
                "mysql",
                format!(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND INFO LIKE '%SLEEP%'",
                    self.credentials.database
                ),
            ),
        };
        engine.admin_sql(database, &sql).trim() != "0"
    }

    async fn until_nothing_sleeps(&self) {
        let give_up = Instant::now() + Duration::from_secs(2);
        while self.sleeping() {
            assert!(Instant::now() < give_up, "{:?} still runs it", self.kind);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn statement(kind: IntegrationKind, text: &str, field_type: FieldType) -> Statement {
    let native_type = match field_type {
        FieldType::String => "varchar(50)",
        FieldType::Float => "double",
        _ => "int(11)",
    };
    let shape = Shape {
        field_type,
        native_type: native_type.into(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    };
    Statement {
        dialect: kind,
        action: Action::Read,
        object: "t".into(),
        text: text.into(),
        hash: text.into(),
        parameters: vec![Parameter {
            name: "p".into(),
            source: Source::Model,
            required: true,
            nullable: true,
            description: None,
            value: None,
            column: "p".into(),
            shape: shape.clone(),
        }],
        binds: vec![Bind::Value { parameter: 0 }],
        columns: vec![Column { leaf: "l".into(), shape }],
        limit: 5,
        touches: Vec::new(),
        uses_index: None,
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}

#[tokio::test]
async fn each_gets_its_own_answer_and_one_connection_is_enough_for_eight() {
    for side in Side::both() {
        side.warm().await;
        for round in 0..50 {
            let reads = (0..8).map(|at| async move { format!("{round} {at}") });
            let reads = reads.map(|value| async { side.echoes(&value.await).await });
            let all = async {
                join_all(reads).await;
            };
            // Polled after all of them have begun.
            let looked = async { assert_eq!(side.connections(), 1, "{:?}", side.kind) };
            tokio::join!(all, looked);
        }
        assert_eq!(side.connections(), 0);
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_to_whom_it_concerns() {
    for side in Side::both() {
        side.warm().await;
        let refused = async {
            let error = side.read(&side.refused, Bound::Integer(0), soon()).await.unwrap_err();
            assert_ne!(error, Fault::ConnectionLost, "{:?}", side.kind);
        };
        let looked = async { assert_eq!(side.connections(), 1) };
        tokio::join!(side.echoes("before"), refused, side.echoes("after"), looked);
        let idle = side.pools.usage(side.kind).idle;
        assert_eq!(idle, 1, "{:?} goes on", side.kind);
    }
}

#[tokio::test]
async fn a_slow_read_keeps_nobody_waiting_and_is_stopped_at_its_deadline() {
    for side in Side::both() {
        side.warm().await;
        let began = Instant::now();
        let slow = async {
            let late = side.read(&side.sleep, Bound::Float(4.0), began + Duration::from_secs(1)).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{:?}", side.kind);
        };
        let quick = async {
            // On the same connection, behind it.
            let looked = async { assert_eq!(side.connections(), 1) };
            tokio::join!(side.echoes("one"), side.echoes("two"), looked);
            assert!(began.elapsed() < Duration::from_millis(800), "{:?} {:?}", side.kind, began.elapsed());
            assert!(side.sleeping(), "the slow one goes on meanwhile");
        };
        tokio::join!(slow, quick);
        side.until_nothing_sleeps().await;
    }
}

#[tokio::test]
async fn several_slow_ones_on_one_connection_are_all_stopped() {
    for side in Side::both() {
        side.warm().await;
        let began = Instant::now();
        let slow = || async {
            let late = side.read(&side.sleep, Bound::Float(4.0), began + Duration::from_millis(500)).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{:?}", side.kind);
        };
        let looked = async { assert_eq!(side.connections(), 1) };
        tokio::join!(slow(), slow(), slow(), looked);
        assert!(began.elapsed() < Duration::from_millis(800), "{:?} {:?}", side.kind, began.elapsed());
        side.until_nothing_sleeps().await;
        side.echoes("after").await;
    }
}

#[tokio::test]
async fn a_slow_read_overtakes_one_that_has_to_be_prepared_and_keeps_it_waiting_no_longer() {
    for side in Side::both() {
        side.read(&side.sleep, Bound::Float(0.0), soon()).await.unwrap();
        let began = Instant::now();
        let first = async {
            side.echoes("prepared first").await;
            assert!(began.elapsed() < Duration::from_millis(700), "{:?} {:?}", side.kind, began.elapsed());
        };
        let slow = async {
            let late = side.read(&side.sleep, Bound::Float(4.0), began + Duration::from_millis(900)).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{:?}", side.kind);
        };
        tokio::join!(first, slow);
        side.until_nothing_sleeps().await;
    }
}

#[tokio::test]
async fn an_answer_beyond_the_budget_takes_no_other_with_it() {
    let side = Side::postgres();
    let huge = "SELECT pg_catalog.repeat('x', 40000000 + $1::int4)";
    let huge = statement(side.kind, huge, FieldType::Integer);
    side.warm().await;
    side.read(&huge, Bound::Integer(-40_000_000), soon()).await.unwrap();
    let beyond = async {
        let refused = side.read(&huge, Bound::Integer(0), soon()).await;
        assert_eq!(refused, Err(Fault::ProtocolViolation));
    };
    let looked = async { assert_eq!(side.connections(), 1) };
    tokio::join!(beyond, side.echoes("one"), side.echoes("two"), looked);
}

#[tokio::test]
async fn a_read_that_is_given_up_takes_no_other_with_it() {
    for side in Side::both() {
        side.warm().await;
        let slow = async {
            let sleep = side.read(&side.sleep, Bound::Float(4.0), soon());
            tokio::time::timeout(Duration::from_millis(5), sleep).await.unwrap_err();
        };
        tokio::join!(slow, side.echoes("one"), side.echoes("two"));
        side.until_nothing_sleeps().await;
        // One behind others, which the order to stop must not hit.
        let gone = async {
            tokio::select! {
                biased;
                _ = side.read(&side.sleep, Bound::Float(4.0), soon()) => panic!("it sleeps longer"),
                () = tokio::task::yield_now() => {}
            }
        };
        tokio::join!(side.echoes("first"), gone, side.echoes("last"));
        side.until_nothing_sleeps().await;
        side.echoes("after").await;
    }
}
