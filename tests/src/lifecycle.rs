//! What happens to a database, its scoping and an agent's skills between the first connect and the last call, on both
//! engines.

/// Each test of the list once for each engine.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(events::IntegrationKind::Postgres).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(events::IntegrationKind::Mysql).await;
            })*
        }
    };
}

mod connecting;
mod discovering;
mod drifting;
mod publishing;
mod reviewing;
mod rotating;
mod scoping;

use crate::engines::{Engine, engine};
use crate::http::{Answer, Http};
use crate::site::Site;
use events::IntegrationKind;
use infra::databases::Credentials;
use serde_json::{Value, json};

const PHONE: &str = "+12025550142";

/// A front desk's agent on a clinic that is connected and discovered.
struct Desk {
    site: Site,
    engine: &'static Engine,
    database: String,
    agent: String,
}

impl Desk {
    async fn open(kind: IntegrationKind) -> Self {
        let (site, engine) = (Site::start().await, engine(kind));
        let database = engine.clinic();
        site.connect(&site.http, engine, &database).await;
        let agent = site.agent(&site.http).await;
        Self { site, engine, database, agent }
    }

    fn http(&self) -> &Http {
        &self.site.http
    }

    /// A path below this integration.
    fn integration(&self, path: &str) -> String {
        format!("/integrations/{}{path}", self.engine.kind)
    }

    /// A path below this agent.
    fn desk(&self, path: &str) -> String {
        format!("/agents/{}{path}", self.agent)
    }

    async fn try_connect(&self, credentials: &Credentials) -> Answer {
        self.http().post(&self.integration("/connect"), body_of(credentials)).await
    }

    async fn discover(&self) -> Value {
        self.http().post(&self.integration("/discover"), json!({})).await.data().clone()
    }

    async fn try_scope(&self, scoping: Value) -> Answer {
        self.http().patch(&self.integration("/scoping"), scoping).await
    }

    async fn scope(&self, scoping: Value) -> Value {
        self.try_scope(scoping).await.data().clone()
    }

    async fn try_bind(&self, binding: Value) -> Answer {
        self.http().post(&self.desk(&format!("/integrations/{}/bindings", self.engine.kind)), binding).await
    }

    /// Binds and enables without further questions to a caller; returns the skill's id.
    async fn bind(&self, binding: Value) -> String {
        text(&self.site.bind(self.http(), &self.agent, self.engine, binding).await["id"])
    }

    /// A read of patients by phone with these columns.
    async fn bind_lookup(&self, tool: &str, columns: &[&str]) -> String {
        self.bind(lookup(tool, columns)).await
    }

    async fn patch(&self, skill: &str, review: Value) -> Answer {
        self.http().patch(&self.desk(&format!("/skills/{skill}")), review).await
    }

    async fn skill(&self, skill: &str) -> Value {
        self.http().get(&self.desk(&format!("/skills/{skill}"))).await.data().clone()
    }

    async fn try_publish(&self) -> Answer {
        self.http().post(&self.desk("/publish"), json!({})).await
    }

    /// Publishes and returns the version's id.
    async fn publish(&self) -> String {
        text(&self.try_publish().await.data()["id"])
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let path = self.desk(&format!("/skills/{tool}/call"));
        self.http().post(&path, json!({ "arguments": arguments })).await.data().clone()
    }

    /// Calls a read of patients by phone and returns its outcome, with the code that it has unless all is well.
    async fn outcome(&self, tool: &str) -> String {
        let answer = self.call(tool, json!({ "phone": PHONE })).await;
        let code = answer["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{}{code}", text(&answer["outcome"]))
    }

    /// As administrator of the database.
    fn sql(&self, sql: &str) {
        self.engine.admin_sql(&self.database, sql);
    }
}

fn lookup(tool: &str, columns: &[&str]) -> Value {
    let projection: Vec<Value> =
        columns.iter().map(|column| json!({ "path": ["patients", column], "leaf": column })).collect();
    json!({
        "toolName": tool, "operation": "patients.read",
        "inputs": [{ "param": "phone", "arg": "phone" }], "projection": projection,
    })
}

fn body_of(credentials: &Credentials) -> Value {
    json!({ "credentials": {
        "host": credentials.host, "port": credentials.port, "database": credentials.database,
        "user": credentials.user, "password": credentials.password.expose(),
        "sslmode": credentials.sslmode.as_str(), "ca_pem": credentials.ca_pem,
    }})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}

/// One member of each item.
fn each<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap_or_else(|| panic!("a list, not {list}")).iter();
    items.map(|item| item[member].as_str().unwrap_or_else(|| panic!("{member} of {item}"))).collect()
}
