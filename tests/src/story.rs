//! The whole job by HTTP, from a database nobody connected to an agent's live calls. `make run` shows it to a person;
//! the tests run it on every host. Each step checks what it got.

use crate::engines::Engine;
use crate::http::{Answer, Http};
use events::IntegrationKind;
use serde_json::{Value, json};
use tokio::sync::Mutex;

mod teller;
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

    /// Tells all of it.
    ///
    /// # Panics
    /// At the first step that is not as it should be.
    pub async fn tell(&self) -> Told {
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

    async fn publish_and_call(&self, agent: &str) -> Told {
        self.teller.chapter("Publish: only this version serves calls");
        let note = json!({ "note": "first version" });
        self.done("POST", &format!("/agents/{agent}/publish"), Some(note), version).await;

        self.teller.chapter("Live calls");
        let arguments = json!({ "phone": "+12025550142" });
        let found = self.call(agent, "find_patient", json!({ "arguments": arguments })).await;
        assert_eq!(found["outcome"], "ok", "{found}");
        assert_eq!(found["rowCount"], 1, "{found}");
        let patient = &found["rows"][0]["patient_id"];
        assert_eq!(patient, "43", "a bigint is exact, as text");
        assert_eq!(found["rows"][0]["email"], "patient43@example.com");

        let booking = json!({
            "arguments": {
                "patient_id": patient, "practitioner_id": 3, "location_id": 2, "service_id": 1,
                "starts_at": "2027-06-01T09:00:00+02:00", "ends_at": "2027-06-01T09:15:00+02:00",
                "reason": "It's only \"a\" check-up; DROP TABLE patients",
            },
            "context": { "callId": format!("call-{}", self.engine.kind), "toolCallId": "t-1" },
        });
        let refused = self.call(agent, "book_a_visit", booking.clone()).await;
        assert_eq!(
            (&refused["outcome"], &refused["code"]),
            (&json!("refused"), &json!("confirmation_required"))
        );
        let mut confirmed = booking;
        confirmed["confirm"] = json!(true);
        let booked = self.call(agent, "book_a_visit", confirmed.clone()).await;
        assert_eq!(booked["outcome"], "ok", "{booked}");
        self.teller.remark("The caller interrupts, the model repeats the call under a new tool-call id:");
        confirmed["context"]["toolCallId"] = json!("t-2");
        let path = format!("/agents/{agent}/skills/book_a_visit/call");
        let again = self.ask("POST", &path, Some(confirmed), &[]).await;
        self.teller.answer(
            &again,
            &format!("Idempotent-Replayed: {}", again.header("idempotent-replayed").unwrap_or("-")),
        );
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let rows = self.engine.admin_sql(
            self.database,
            "SELECT count(*) FROM appointments WHERE patient_id = 43 AND practitioner_id = 3 AND service_id = 1 \
             AND starts_at >= '2027-06-01'",
        );
        assert_eq!(rows.trim(), "1", "one booking, whatever was repeated");

        let visits =
            self.call(agent, "upcoming_visits", json!({ "arguments": { "patient_id": patient } })).await;
        let rows = visits["rows"].as_array().expect("rows");
        let made = rows.iter().find(|row| row["starts_at"] == "2027-06-01T07:00:00Z");
        let reference =
            made.unwrap_or_else(|| panic!("the booked visit is there, in UTC: {visits}"))["reference"]
                .clone();
        let cancel = json!({ "arguments": { "reference": reference }, "confirm": true });
        let cancelled = self.call(agent, "cancel_visit", cancel).await;
        assert_eq!((&cancelled["outcome"], &cancelled["matched"]), (&json!("ok"), &json!(1)), "{cancelled}");
        let nobody = json!({ "arguments": { "reference": "APT-XXXXXX" }, "confirm": true });
        assert_eq!(self.call(agent, "cancel_visit", nobody).await["outcome"], "not_found");
        let malformed = json!({ "arguments": { "patient_id": "1 OR 1=1" } });
        assert_eq!(self.call(agent, "upcoming_visits", malformed).await["outcome"], "invalid_arguments");
        Told {
            agent: agent.to_owned(),
            skill: "upcoming_visits".to_owned(),
            arguments: json!({ "patient_id": patient }),
        }
    }

    async fn call(&self, agent: &str, tool: &str, body: Value) -> Value {
        let path = format!("/agents/{agent}/skills/{tool}/call");
        self.done("POST", &path, Some(body), |data| {
            let mut shown = data.clone();
            for quiet in ["version", "truncated", "rowCount"] {
                shown.as_object_mut().map(|members| members.remove(quiet));
            }
            shown.to_string()
        })
        .await
    }

    async fn block_what_is_live(&self, agent: &str) {
        self.teller.chapter("Block a column that a live skill reads: it stops at once");
        let body = json!({ "blockedColumns": { "patients": ["ssn", "email"] } });
        let path = self.integration("/scoping");
        let stopped =
            self.done("PATCH", &path, Some(body), |data| data["quarantinedSkills"].to_string()).await;
        assert_eq!(stopped["quarantinedSkills"][0]["toolName"], "find_patient", "{stopped}");
        let call = json!({ "arguments": { "phone": "+12025550142" } });
        let refused = self.call(agent, "find_patient", call.clone()).await;
        assert_eq!((&refused["outcome"], &refused["code"]), (&json!("refused"), &json!("skill_quarantined")));
        let blocked = json!({
            "toolName": "read_mail",
            "operation": "patients.read",
            "inputs": [{ "param": "phone", "arg": "phone" }],
            "projection": [{ "path": ["patients", "email"], "leaf": "email" }],
        });
        let answer = self.ask("POST", &self.bindings(agent), Some(blocked), &[]).await;
        self.teller.answer(&answer, &format!("{}: {}", answer.code(), answer.body["detail"]));
        assert_eq!((answer.status, answer.code()), (422, "column_blocked"), "{}", answer.body);

        self.teller.remark("Unblocking alone does not bring it back; a person enables it again:");
        let body = json!({ "blockedColumns": { "patients": ["ssn"] } });
        self.done("PATCH", &path, Some(body), Value::to_string).await;
        assert_eq!(self.call(agent, "find_patient", call.clone()).await["code"], "skill_quarantined");
        let skill = text(&stopped["quarantinedSkills"][0]["skillId"]);
        let path = format!("/agents/{agent}/skills/{skill}");
        self.done("PATCH", &path, Some(json!({ "isEnabled": true })), |data| text(&data["status"])).await;
        assert_eq!(self.call(agent, "find_patient", call).await["outcome"], "ok");
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
