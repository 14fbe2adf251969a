//! A connected database and an agent with skills on it, for the tests of live calls.

use crate::engines::{Engine, engine};
use crate::http::Answer;
use crate::site::Site;
use events::IntegrationKind;
use infra::databases::Credentials;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub struct Desk {
    pub site: Site,
    pub engine: &'static Engine,
    pub database: String,
    pub agent: String,
}

impl Desk {
    /// With a database of its own, filled by `sql`.
    pub async fn open(kind: IntegrationKind, sql: &str) -> Self {
        Self::open_through(kind, sql, |credentials| credentials).await
    }

    /// The same over another way to the database.
    pub async fn open_through(
        kind: IntegrationKind,
        sql: &str,
        way: impl FnOnce(Credentials) -> Credentials,
    ) -> Self {
        let (site, engine) = (Site::start().await, engine(kind));
        let database = engine.database(sql);
        site.connect_as(&site.http, engine, &way(engine.owner(&database))).await;
        let agent = site.agent(&site.http).await;
        Self { site, engine, database, agent }
    }

    pub async fn bind(&self, binding: Value) -> Value {
        self.site.bind(&self.site.http, &self.agent, self.engine, binding).await
    }

    /// The answer to a binding that is not expected to go well.
    pub async fn try_bind(&self, binding: Value) -> Answer {
        let path = format!("/agents/{}/integrations/{}/bindings", self.agent, self.engine.kind);
        self.site.http.post(&path, binding).await
    }

    pub async fn publish(&self) {
        self.site.http.post(&format!("/agents/{}/publish", self.agent), json!({})).await.data();
    }

    /// The user that the server under test logs in as.
    pub fn user(&self) -> String {
        self.sql(&match self.engine.kind {
            IntegrationKind::Postgres => {
                format!("SELECT rolname FROM pg_roles WHERE rolname LIKE 'owner_%_of_{}'", self.database)
            }
            IntegrationKind::Mysql => {
                format!("SELECT User FROM mysql.user WHERE User LIKE 'owner_%_of_{}'", self.database)
            }
        })
    }

    /// A call's whole answer, with these headers and this body.
    pub async fn send(&self, tool: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/agents/{}/skills/{tool}/call", self.agent);
        self.site.http.send("POST", &path, Some(&body), headers).await
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.send(tool, json!({ "arguments": arguments }), &[]).await.data().clone()
    }

    /// A call's answer and the time until it was there.
    pub async fn timed(&self, tool: &str, body: Value) -> (Value, Duration) {
        let started = Instant::now();
        let answer = self.send(tool, body, &[]).await.data().clone();
        (answer, started.elapsed())
    }

    /// What the administrator gets, without the newline at the end.
    pub fn sql(&self, sql: &str) -> String {
        self.engine.admin_sql(&self.database, sql).trim().to_owned()
    }

    /// Connections that the server under test has to this database.
    pub fn connections(&self) -> usize {
        self.count("TRUE")
    }

    /// Those of them that run something now.
    pub fn running(&self) -> usize {
        self.count(match self.engine.kind {
            IntegrationKind::Postgres => "state <> 'idle'",
            IntegrationKind::Mysql => "COMMAND <> 'Sleep'",
        })
    }

    fn count(&self, condition: &str) -> usize {
        let database = &self.database;
        let counted = self.sql(&match self.engine.kind {
            IntegrationKind::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = '{database}' AND application_name = 'bindery' AND {condition}"
            ),
            IntegrationKind::Mysql => format!(
                "SELECT count(*) FROM information_schema.PROCESSLIST
                  WHERE DB = '{database}' AND USER LIKE 'owner%' AND {condition}"
            ),
        });
        counted.parse().expect("a number")
    }

    /// Transactions that anybody has open in this database, or in MariaDB's server.
    pub fn open_transactions(&self) -> usize {
        let database = &self.database;
        let counted = self.sql(&match self.engine.kind {
            IntegrationKind::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = '{database}' AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
            ),
            IntegrationKind::Mysql => format!(
                "SELECT count(*) FROM information_schema.INNODB_TRX trx
                   JOIN information_schema.PROCESSLIST process ON process.ID = trx.trx_mysql_thread_id
                  WHERE process.DB = '{database}' AND process.USER LIKE 'owner%'"
            ),
        });
        counted.parse().expect("a number")
    }

    /// Ends all connections of the server under test to this database, from the database's side.
    pub fn end_connections(&self) {
        let database = &self.database;
        match self.engine.kind {
            IntegrationKind::Postgres => self.sql(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = '{database}' AND application_name = 'bindery'"
            )),
            IntegrationKind::Mysql => {
                let kills = self.sql(&format!(
                    "SELECT CONCAT('KILL CONNECTION ', ID, ';') FROM information_schema.PROCESSLIST
                      WHERE DB = '{database}' AND USER LIKE 'owner%'"
                ));
                self.sql(&kills)
            }
        };
    }
}
