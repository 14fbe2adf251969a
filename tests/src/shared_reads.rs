//! Reads of several calls on one connection, against real servers: each gets its own answer, and none pays for another
//! that is slow, stopped or refused.

use crate::engines;
use domain::arguments::Bound;
use domain::limits::STATEMENT_TIMEOUT;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Shape, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use futures_util::future::join_all;
use infra::databases::Credentials;
use infra::databases::dial::Dialer;
use infra::databases::driver::{Drivers, Session};
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BOTH: [IntegrationKind; 2] = [IntegrationKind::Postgres, IntegrationKind::Mysql];
/// What sleeps so long is stopped before, or the test has failed.
const SLEEP: Bound = Bound::Float(60.0);
/// After what had a deadline was told. The session's own limit would end it later.
const STOPPED_WITHIN: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_millis(1500);
const _: () = assert!(DEADLINE.as_millis() + STOPPED_WITHIN.as_millis() < STATEMENT_TIMEOUT.as_millis());
/// What a machine that has other things to do may add to a deadline.
const MARGIN: Duration = Duration::from_secs(5);

/// One engine, and how it spells what the tests need.
struct Side {
    kind: IntegrationKind,
    credentials: Credentials,
    pools: Pools,
    key: PoolKey,
    source: CredentialSource,
    echo: Arc<Statement>,
    sleep: Arc<Statement>,
    refused: Arc<Statement>,
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

    fn of(kind: IntegrationKind) -> Self {
        match kind {
            IntegrationKind::Postgres => Self::postgres(),
            IntegrationKind::Mysql => Self::mysql(),
        }
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
        statement: &Arc<Statement>,
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
    /// And so many answers that the pool knows how many it may be given.
    async fn warm(&self) {
        self.echoes("warm").await;
        self.read(&self.sleep, Bound::Float(0.0), soon()).await.unwrap();
        self.read(&self.refused, Bound::Integer(1), soon()).await.ok();
        for round in 0..1000 {
            let (_, connections) = self.echo_eight(round).await;
            if connections == 1 && round >= 20 {
                return;
            }
        }
        panic!("{:?} gives each read a connection of its own", self.kind);
    }

    /// Eight at once, and on how many connections they were when all had begun.
    async fn echo_eight(&self, round: usize) -> ((), usize) {
        let reads = (0..8).map(|at| async move { self.echoes(&format!("{round} {at}")).await });
        let all = async {
            join_all(reads).await;
        };
        tokio::join!(all, async { self.connections() })
    }

    fn connections(&self) -> usize {
        self.pools.usage(self.kind).used
    }

    /// A read that was late has another connection dialled, which may still be under way when it is answered.
    async fn until_none_is_used(&self) {
        let give_up = soon();
        while self.connections() > 0 {
            assert!(Instant::now() < give_up, "{:?} still has {} in use", self.kind, self.connections());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
        let give_up = Instant::now() + STOPPED_WITHIN;
        while self.sleeping() {
            assert!(Instant::now() < give_up, "{:?} still runs it", self.kind);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Plays a scene until it took place on one connection, as it says itself: where the test is kept from running for some
/// milliseconds, the pool rightly thinks a read late, and gives the next one another connection.
async fn on_one_connection(kinds: &[IntegrationKind], scene: impl AsyncFn(&Side) -> bool) {
    for kind in kinds {
        let mut tries = 0;
        loop {
            let side = Side::of(*kind);
            side.warm().await;
            if scene(&side).await {
                break;
            }
            tries += 1;
            assert!(tries < 20, "{kind:?} gives each read a connection of its own");
        }
    }
}

fn statement(kind: IntegrationKind, text: &str, field_type: FieldType) -> Arc<Statement> {
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
    Arc::new(Statement {
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
    })
}

#[tokio::test]
async fn each_gets_its_own_answer_and_one_connection_is_enough_for_eight() {
    on_one_connection(&BOTH, async |side| {
        let mut on_one = 0;
        for round in 0..50 {
            let (_, connections) = side.echo_eight(round).await;
            on_one += usize::from(connections == 1);
        }
        side.until_none_is_used().await;
        on_one > 0
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_is_told_to_whom_it_concerns() {
    on_one_connection(&BOTH, async |side| {
        let refused = async {
            let error = side.read(&side.refused, Bound::Integer(0), soon()).await.unwrap_err();
            assert_ne!(error, Fault::ConnectionLost, "{:?}", side.kind);
        };
        let looked = async { side.connections() == 1 };
        let ((), (), (), on_one) = tokio::join!(side.echoes("before"), refused, side.echoes("after"), looked);
        assert!(side.pools.usage(side.kind).idle >= 1, "{:?} goes on", side.kind);
        on_one
    })
    .await;
}

#[tokio::test]
async fn a_slow_read_keeps_nobody_waiting_and_is_stopped_at_its_deadline() {
    on_one_connection(&BOTH, async |side| {
        let deadline = Instant::now() + DEADLINE;
        let slow = async {
            let late = side.read(&side.sleep, SLEEP, deadline).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{:?}", side.kind);
            assert!(Instant::now() < deadline + MARGIN, "{:?}", side.kind);
        };
        let quick = async {
            // On the same connection, behind it.
            let looked = async { side.connections() == 1 };
            let ((), (), on_one) = tokio::join!(side.echoes("one"), side.echoes("two"), looked);
            assert!(Instant::now() < deadline, "{:?} kept them waiting", side.kind);
            on_one
        };
        let ((), on_one) = tokio::join!(slow, quick);
        side.until_nothing_sleeps().await;
        on_one
    })
    .await;
}

#[tokio::test]
async fn several_slow_ones_on_one_connection_are_all_stopped() {
    on_one_connection(&BOTH, async |side| {
        let deadline = Instant::now() + DEADLINE;
        let slow = || async {
            let late = side.read(&side.sleep, SLEEP, deadline).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{:?}", side.kind);
        };
        let looked = async { side.connections() == 1 };
        let ((), (), (), on_one) = tokio::join!(slow(), slow(), slow(), looked);
        assert!(Instant::now() < deadline + MARGIN, "{:?}", side.kind);
        side.until_nothing_sleeps().await;
        side.echoes("after").await;
        on_one
    })
    .await;
}

#[tokio::test]
async fn who_waits_on_a_connection_behind_several_that_are_stopped_is_not_kept_by_them() {
    for kind in BOTH {
        let side = Side::of(kind);
        let opened = side.pools.drivers().open(kind, &side.credentials, Session::ReadOnly).await;
        let reader = opened.unwrap().into_reader();
        reader.read(&side.sleep, &[Bound::Float(0.0)], soon()).await.unwrap();
        reader.read(&side.echo, &[Bound::Text("warm".into())], soon()).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(500);
        let slow = || async {
            let late = reader.read(&side.sleep, &[SLEEP], deadline).await;
            assert_eq!(late.map_err(|error| error.fault), Err(Fault::StatementTimeout), "{kind:?}");
        };
        let behind = async {
            match reader.read(&side.echo, &[Bound::Text("behind".into())], soon()).await {
                Ok(rows) => assert_eq!(rows.rows, vec![vec![json!("behind")]], "{kind:?}"),
                Err(error) => assert_eq!(error.fault, Fault::ConnectionLost, "{kind:?}"),
            }
            assert!(Instant::now() < deadline + STOPPED_WITHIN, "{kind:?}");
        };
        tokio::join!(slow(), slow(), slow(), behind);
        reader.close().await;
        side.until_nothing_sleeps().await;
    }
}

#[tokio::test]
async fn a_slow_read_overtakes_one_that_has_to_be_prepared_and_keeps_it_waiting_no_longer() {
    for kind in BOTH {
        let side = Side::of(kind);
        side.read(&side.sleep, Bound::Float(0.0), soon()).await.unwrap();
        let deadline = Instant::now() + DEADLINE;
        let first = async {
            side.echoes("prepared first").await;
            assert!(Instant::now() < deadline, "{kind:?} kept it waiting");
        };
        let slow = async {
            let late = side.read(&side.sleep, SLEEP, deadline).await;
            assert_eq!(late, Err(Fault::StatementTimeout), "{kind:?}");
        };
        tokio::join!(first, slow);
        side.until_nothing_sleeps().await;
    }
}

#[tokio::test]
async fn an_answer_beyond_the_budget_takes_no_other_with_it() {
    on_one_connection(&[IntegrationKind::Postgres], async |side| {
        let huge = "SELECT pg_catalog.repeat('x', 40000000 + $1::int4)";
        let huge = statement(side.kind, huge, FieldType::Integer);
        side.read(&huge, Bound::Integer(-40_000_000), soon()).await.unwrap();
        let beyond = async {
            let refused = side.read(&huge, Bound::Integer(0), soon()).await;
            assert_eq!(refused, Err(Fault::ProtocolViolation));
        };
        let looked = async { side.connections() == 1 };
        let ((), (), (), on_one) = tokio::join!(beyond, side.echoes("one"), side.echoes("two"), looked);
        on_one
    })
    .await;
}

#[tokio::test]
async fn a_read_that_is_given_up_takes_no_other_with_it() {
    on_one_connection(&BOTH, async |side| {
        let slow = async {
            let sleep = side.read(&side.sleep, SLEEP, soon());
            tokio::time::timeout(Duration::from_millis(5), sleep).await.unwrap_err();
        };
        let looked = async { side.connections() == 1 };
        let ((), (), (), on_one) = tokio::join!(slow, side.echoes("one"), side.echoes("two"), looked);
        side.until_nothing_sleeps().await;
        side.echoes("after").await;
        on_one
    })
    .await;
    // One behind others, which the order to stop must not hit.
    on_one_connection(&BOTH, async |side| {
        let gone = async {
            tokio::select! {
                biased;
                _ = side.read(&side.sleep, SLEEP, soon()) => panic!("it sleeps longer"),
                () = tokio::task::yield_now() => {}
            }
        };
        let looked = async { side.connections() == 1 };
        let ((), (), (), on_one) = tokio::join!(side.echoes("first"), gone, side.echoes("last"), looked);
        side.until_nothing_sleeps().await;
        side.echoes("after").await;
        on_one
    })
    .await;
}
