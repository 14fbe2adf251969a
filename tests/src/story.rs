//! The whole job by HTTP, from a database nobody connected to an agent's live calls. `make run` shows it to a person;
//! the tests run it on every host. Each step checks what it got.

use crate::engines::Engine;
use crate::http::{Answer, Http};
use events::IntegrationKind;
use serde_json::{Value, json};
use tokio::sync::Mutex;

mod audit;
mod hands;
mod live;
mod teller;
use hands::Forgery;
pub use hands::Hands;
pub use teller::Teller;

/// What is left to try by hand.
pub struct Told {
    pub agent: String,
    /// Its id or its tool name.
    pub skill: String,
    pub arguments: Value,
}

/// The story of one database.
pub struct Story<'a> {
    pub http: &'a Http,
    pub engine: &'a Engine,
    /// Holds the clinic.
    pub database: &'a str,
    pub teller: Teller,
}

impl Story<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        self.teller.request(method, path, body.as_ref());
        self.http.send(method, path, body.as_ref(), headers).await
    }

    async fn done(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        show: impl Fn(&Value) -> String,
    ) -> Value {
        let answer = self.ask(method, path, body, &[]).await;
        let data = answer.data().clone();
        self.teller.answer(&answer, &show(&data));
        data
    }

    fn integration(&self, path: &str) -> String {
        format!("/integrations/{}{path}", self.engine.kind)
    }

    fn credentials(&self, user: &Value, password: &Value) -> Value {
        json!({ "credentials": {
            "host": self.engine.host, "port": self.engine.port, "database": self.database,
            "user": user, "password": password, "sslmode": "verify-full", "ca_pem": self.engine.ca_pem,
        }})
    }

    /// Tells all of it. Whose hands are on the store can falsify it, too.
    ///
    /// # Panics
    /// At the first step that is not as it should be.
    pub async fn tell(&self, hands: &Hands<'_>) -> Told {
        // The scripts make the same users on every server and give them new passwords, so on one server stories take
        // turns.
        static POSTGRES: Mutex<()> = Mutex::const_new(());
        static MYSQL: Mutex<()> = Mutex::const_new(());
        let _turn = match self.engine.kind {
            IntegrationKind::Postgres => POSTGRES.lock().await,
            IntegrationKind::Mysql => MYSQL.lock().await,
        };
        self.connect().await;
        self.look_around().await;
        let agent = self.bind().await;
        let told = self.publish_and_call(&agent).await;
        self.block_what_is_live(&agent).await;
        self.look_who_called(&agent).await;
        self.audit(&agent, hands).await;
        self.history().await;
        told
    }

    /// The least that a live read needs.
    pub async fn set_up(&self) -> Told {
        self.connect().await;
        let agent = self.agent().await;
        let skill = self.bind_read(&agent).await;
        self.done("POST", &format!("/agents/{agent}/publish"), Some(json!({})), version).await;
        Told { agent, skill, arguments: json!({ "phone": "+12025550142" }) }
    }

    async fn connect(&self) {
        let teller = &self.teller;
        teller.chapter("A least-privilege user for each job: scripts that an administrator reads and runs");
        let path = self
            .integration(&format!("/sql/scripts?database={}&tables=appointments,patients", self.database));
        let scripts = self
            .done("GET", &path, None, |data| {
                let statements =
                    |script: &Value| script["sql"].as_str().unwrap_or_default().matches(';').count();
                format!(
                    "{} ({} statements), {} ({} statements), generatedPassword (shown once)",
                    data["readOnly"]["username"].as_str().unwrap_or_default(),
                    statements(&data["readOnly"]),
                    data["write"]["username"].as_str().unwrap_or_default(),
                    statements(&data["write"]),
                )
            })
            .await;
        for script in ["readOnly", "write"] {
            self.engine.admin_sql(self.database, scripts[script]["sql"].as_str().expect("a script"));
        }
        teller.remark(&format!("… the administrator ran both on the real {}", self.engine_name()));
        let password = &scripts["generatedPassword"];

        teller.chapter("Test: six checks, nothing is stored");
        let reader = self.credentials(&scripts["readOnly"]["username"], password);
        let report = self
            .done("POST", &self.integration("/sql/test"), Some(reader), |data| {
                let checks = data["checks"].as_array().into_iter().flatten();
                let marks: Vec<String> = checks
                    .map(|check| format!("{} {}", text(&check["name"]), text(&check["status"])))
                    .collect();
                format!("ok {}: {}", data["ok"], marks.join(", "))
            })
            .await;
        assert_eq!(report["ok"], true, "{report}");
        for check in report["checks"].as_array().expect("checks") {
            assert_eq!(check["status"], "passed", "{check}");
            if check["name"] == "read_only" {
                teller.remark(&format!("read_only: {}", text(&check["detail"])));
            }
        }

        teller.chapter("Connect as the scoped user, TLS verified in full; the credentials are sealed");
        let writer = self.credentials(&scripts["write"]["username"], password);
        let connected =
            self.done("POST", &self.integration("/connect"), Some(writer), Value::to_string).await;
        assert_eq!(connected["status"], "connected");

        teller.chapter("Discover the schema");
        let found = self
            .done("POST", &self.integration("/discover"), Some(json!({})), |data| {
                format!(
                    "{} objects, {} fields, {} relationships, {} operations",
                    data["objectCount"], data["fieldCount"], data["edgeCount"], data["operationCount"]
                )
            })
            .await;
        assert!(found["objectCount"].as_u64() >= Some(9), "{found}");
    }

    async fn look_around(&self) {
        self.teller.chapter("Search it in plain words");
        let path = self.integration("/search?q=when+is+the+patient%27s+next+visit&limit=3");
        let hits = self.done("GET", &path, None, |hits| {
            let hits = hits.as_array().into_iter().flatten();
            hits.map(|hit| hit["path"].to_string()).collect::<Vec<_>>().join(" ")
        });
        assert!(!hits.await.as_array().expect("a list").is_empty());

        self.teller.chapter("Block what the agent must never see");
        let body = json!({ "blockedColumns": { "patients": ["ssn"] } });
        self.done("PATCH", &self.integration("/scoping"), Some(body), Value::to_string).await;
        let hits = self.done("GET", &self.integration("/search?q=ssn"), None, Value::to_string).await;
        let leaked = hits.as_array().expect("a list").iter().any(|hit| hit["field"] == "ssn");
        assert!(!leaked, "a blocked column was found: {hits}");
    }

    async fn agent(&self) -> String {
        let body = json!({ "name": format!("Front desk ({})", self.engine.kind) });
        let agent = self.done("POST", "/agents", Some(body), |data| text(&data["id"])).await;
        text(&agent["id"])
    }

    fn bindings(&self, agent: &str) -> String {
        format!("/agents/{agent}/integrations/{}/bindings", self.engine.kind)
    }

    async fn bind_read(&self, agent: &str) -> String {
        let body = json!({
            "toolName": "find_patient",
            "operation": "patients.read",
            "description": "Finds a patient by phone number.",
            "inputs": [{ "param": "phone", "arg": "phone", "description": "E.164, such as +12025550142" }],
            "projection": [
                { "path": ["patients", "id"], "leaf": "patient_id" },
                { "path": ["patients", "full_name"], "leaf": "name" },
                { "path": ["patients", "email"], "leaf": "email" },
                { "path": ["primary_practitioner", "last_name"], "leaf": "doctor" },
            ],
            "limit": 1,
        });
        let skill = self.done("POST", &self.bindings(agent), Some(body), statement).await;
        assert_eq!(skill["isWrite"], false);
        assert_eq!(skill["isEnabled"], true, "{skill}");
        text(&skill["id"])
    }

    async fn propose(&self, agent: &str) {
        self.teller.chapter(
            "Or a goal in words: what comes passed the same checks, and is a disabled draft if saved",
        );
        let goal = json!({ "goal": "Let callers look up a patient by phone number", "save": false });
        let path = format!("{}/auto", self.bindings(agent));
        let proposed = self
            .done("POST", &path, Some(goal), |data| {
                let proposal = &data["proposal"];
                let by = &proposal["inputs"][0]["arg"];
                format!("{} by {by}, confidence {}", text(&proposal["operation"]), data["confidence"])
            })
            .await;
        assert_eq!(proposed["proposal"]["operation"], "patients.read", "{proposed}");
        assert_eq!(proposed["proposal"]["enabled"], false, "{proposed}");
    }

    async fn bind(&self) -> String {
        self.teller
            .chapter("An agent, and what it may do: a read, an insert, an update; each a frozen statement");
        let agent = self.agent().await;
        self.bind_read(&agent).await;
        let visits = json!({
            "toolName": "upcoming_visits",
            "operation": "appointments.read",
            "description": "The visits of a patient, soonest first.",
            "inputs": [{ "param": "patient_id", "arg": "patient_id" }],
            "projection": [
                { "path": ["appointment", "reference"], "leaf": "reference" },
                { "path": ["appointment", "starts_at"], "leaf": "starts_at" },
                { "path": ["appointment", "status"], "leaf": "status" },
                { "path": ["practitioner", "last_name"], "leaf": "doctor" },
            ],
            "orderBy": [{ "column": "starts_at", "direction": "asc" }],
        });
        let book = json!({
            "toolName": "Book a visit",
            "operation": "appointments.insert",
            "inputs": [
                { "param": "patient_id", "arg": "patient_id" },
                { "param": "practitioner_id", "arg": "practitioner_id" },
                { "param": "location_id", "arg": "location_id" },
                { "param": "service_id", "arg": "service_id" },
                { "param": "starts_at", "arg": "starts_at" },
                { "param": "ends_at", "arg": "ends_at" },
                { "param": "reason", "arg": "reason", "required": false },
                { "param": "status", "arg": "status", "source": "constant", "value": "booked" },
            ],
            "enabled": true,
        });
        let cancel = json!({
            "toolName": "cancel_visit",
            "operation": "appointments.update",
            "keyColumn": "reference",
            "keyParam": "reference",
            "inputs": [{ "param": "status", "arg": "status", "source": "constant", "value": "cancelled" }],
        });
        self.done("POST", &self.bindings(&agent), Some(visits), statement).await;
        let mut writes = Vec::new();
        for body in [book, cancel] {
            let skill = self.done("POST", &self.bindings(&agent), Some(body), statement).await;
            assert_eq!(skill["isEnabled"], false, "a write lands disabled: {skill}");
            writes.push(text(&skill["id"]));
        }
        self.propose(&agent).await;
        self.teller.chapter("Everything that is wrong with a binding, at once");
        let wrong = json!({
            "toolName": "wrong",
            "operation": "patients.read",
            "inputs": [{ "param": "dob", "arg": "date_of_birth" }],
            "projection": [
                { "path": ["patients", "ssn"], "leaf": "ssn" },
                { "path": ["patients", "fist_name"], "leaf": "first" },
                { "path": ["practitoner", "last_name"], "leaf": "first" },
            ],
            "limit": 5000,
        });
        let answer = self.ask("POST", &self.bindings(&agent), Some(wrong), &[]).await;
        let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
        self.teller.answer(&answer, &answer.body["detail"].to_string());
        for error in &errors {
            let nearest = error["nearest"].as_array().map(|names| format!(" nearest {}", json!(names)));
            self.teller.remark(&format!(
                "{}: {}{}",
                text(&error["field"]),
                text(&error["code"]),
                nearest.unwrap_or_default()
            ));
        }
        assert_eq!((answer.status, answer.code()), (422, "binding_invalid"), "{}", answer.body);
        assert!(errors.len() >= 5, "{}", answer.body);

        self.teller.chapter("Writes are reviewed, then enabled");
        for id in &writes {
            let body = json!({ "isEnabled": true, "requiresVerifiedIdentity": false });
            self.done("PATCH", &format!("/agents/{agent}/skills/{id}"), Some(body), |data| {
                format!(
                    "{} enabled {}, asks for confirmation {}",
                    text(&data["tool"]),
                    data["isEnabled"],
                    data["requiresConfirmation"]
                )
            })
            .await;
        }
        agent
    }

    async fn history(&self) {
        self.teller.chapter("Every change is an event in a hash chain");
        let answer = self.ask("GET", "/events?limit=100", None, &[]).await;
        let events = answer.data().as_array().expect("a list");
        let names: Vec<String> =
            events.iter().map(|event| format!("{} {}", event["seq"], text(&event["type"]))).collect();
        self.teller.answer(&answer, &names.join(", "));
        for (before, after) in events.iter().zip(&events[1..]) {
            assert_eq!(before["hash"], after["prevHash"], "the chain holds");
        }
    }

    fn engine_name(&self) -> &'static str {
        match self.engine.kind {
            IntegrationKind::Postgres => "PostgreSQL",
            IntegrationKind::Mysql => "MariaDB",
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn statement(skill: &Value) -> String {
    format!("{}: {}", text(&skill["tool"]), text(&skill["executionConfig"]["statement"]))
}

fn version(data: &Value) -> String {
    let skills = data["compiledConfig"]["skills"].as_array().into_iter().flatten();
    let tools: Vec<String> = skills.map(|skill| text(&skill["tool"])).collect();
    format!("version {}: {}", data["version"], tools.join(", "))
}
