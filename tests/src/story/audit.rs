//! An auditor: what was true before a change, who made it, and whether the log can be believed.

use super::{Forgery, Hands, Story, text};
use functions::history::checkpoint::Checkpoint;
use serde_json::{Value, json};

const NOTE: &str = "three visits are enough";

impl Story<'_> {
    pub(super) async fn audit(&self, agent: &str, hands: &Hands<'_>) {
        self.teller.chapter("Change what is live: a new version of the agent");
        let before = self.done("GET", "/audit/state", None, position).await;
        let skill = self.change(agent).await;

        self.teller
            .chapter("Travel back: what could this agent run at the instant before, and on what ground?");
        let instant = text(&before["at"]);
        let path = format!("/audit/state?at={instant}");
        let past = self.done("GET", &path, None, position).await;
        assert_eq!((&past["seq"], &past["state"]), (&before["seq"], &before["state"]), "told as it was");
        let ran = &past["state"]["agents"][agent]["published"];
        assert_eq!(ran["version"], 1, "{ran}");
        self.show(&past["state"], agent);

        self.teller.chapter("What changed since, and who changed it");
        let path = format!("/audit/diff?from={instant}");
        let diff = self
            .done("GET", &path, None, |data| {
                format!("{} events; {} paths differ", data["eventCount"], count(&data["changes"]))
            })
            .await;
        self.tell_difference(&diff, agent, &skill);

        self.teller.chapter("Verify: every hash is computed again from the bytes as stored");
        let verified = self.done("GET", "/audit/verify", None, Value::to_string).await;
        assert_eq!(verified["ok"], true, "{verified}");
        let kept = self.checkpoint(&verified, hands).await;

        self.teller
            .chapter("Tamper: somebody with the store in hand rewrites an older event, and nothing else");
        let published = self.http.get("/events?types=Published&limit=100").await;
        let is_first = |event: &&Value| event["subject"]["id"] == agent && event["data"]["version"] == 1;
        let first = list(published.data()).iter().find(is_first).expect("it was published");
        let seq = first["seq"].as_u64().expect("a position");
        let forgery = Forgery { seq, was: "first version", becomes: "final version" };
        hands.forge(self, &forgery, kept.as_ref()).await;
        let still = self.done("GET", "/audit/verify", None, Value::to_string).await;
        assert_eq!(still["ok"], true, "the service's own log is as it was: {still}");
    }

    /// A version in which fewer visits are answered; the skill's id.
    async fn change(&self, agent: &str) -> String {
        let skills = self.http.get(&format!("/agents/{agent}/skills")).await;
        let skill = text(&find(skills.data(), "tool", "upcoming_visits")["id"]);
        let path = format!("/agents/{agent}/skills/{skill}");
        self.done("PATCH", &path, Some(json!({ "limit": 3 })), super::statement).await;
        let path = format!("/agents/{agent}/publish");
        let published = self.done("POST", &path, Some(json!({ "note": NOTE })), super::version).await;
        assert_eq!(published["version"], 2, "{published}");
        skill
    }

    /// What an auditor reads first of a state.
    fn show(&self, state: &Value, agent: &str) {
        let kind = self.engine.kind.as_str();
        let (connection, schema) = (&state["connections"][kind], &state["schemas"][kind]);
        self.teller.line(&format!(
            "{kind} at {}:{}, database {}, as {}, TLS {}, credentials of version {}",
            text(&connection["host"]),
            connection["port"],
            text(&connection["database"]),
            text(&connection["user"]),
            text(&connection["sslmode"]),
            connection["credentialVersion"],
        ));
        assert_eq!(connection["sslmode"], "verify-full", "{connection}");
        self.teller.line(&format!(
            "schema {}, {} objects with {} fields; blocked: {}",
            text(&schema["schemaRoot"]),
            schema["objectCount"],
            schema["fieldCount"],
            state["scoping"][kind]["blockedColumns"],
        ));
        let published = &state["agents"][agent]["published"];
        for (tool, skill) in published["skills"].as_object().expect("skills by their tools") {
            let statement = text(&skill["executionConfig"]["statement"]);
            self.teller.line(&format!("version {}, {tool}: {statement}", published["version"]));
            assert_eq!(skill["runnable"], true, "{skill}");
        }
        for (id, key) in state["keys"].as_object().expect("keys by their ids") {
            let minter = &key["createdBy"];
            let by = format!("{} {}", text(&minter["kind"]), text(&minter["id"]));
            let scopes: Vec<String> = list(&key["scopes"]).iter().map(text).collect();
            let scopes = scopes.join(" ");
            self.teller.line(&format!("key {id}, called {}, minted by {by}: {scopes}", key["name"]));
        }
    }

    fn tell_difference(&self, diff: &Value, agent: &str, skill: &str) {
        let summary: Vec<String> = list(&diff["summary"]).iter().map(text).collect();
        for sentence in &summary {
            self.teller.line(sentence);
        }
        let told: Vec<String> = list(&diff["events"])
            .iter()
            .map(|event| format!("{} {} {}", event["seq"], text(&event["recordedAt"]), text(&event["words"])))
            .collect();
        for line in &told {
            self.teller.line(line);
        }
        let name = format!("the agent \"Front desk ({})\" ({agent})", self.engine.kind);
        assert!(summary.contains(&format!("{name} serves version 2 instead of 1")), "{summary:?}");
        let runs = |line: &String| line.starts_with("upcoming_visits of ") && line.contains("; instead of: ");
        assert!(summary.iter().any(runs), "{summary:?}");
        let key = functions::key_text::parse(&self.http.key).expect("a key").key_id;
        let who = format!("key {key} ");
        assert!(told.iter().all(|line| line.contains(&who)), "{told:?}");
        let revised = format!("revised the skill upcoming_visits ({skill})");
        assert!(told[0].ends_with(&revised), "{told:?}");
        let published = format!("published version 2 of {name} with ");
        assert!(told[1].contains(&published) && told[1].ends_with(&format!("{NOTE:?}")), "{told:?}");
    }

    /// Where the log ends, signed, for an auditor to keep. None where nothing can sign.
    async fn checkpoint(&self, verified: &Value, hands: &Hands<'_>) -> Option<Value> {
        if !hands.can_sign() {
            self.teller.remark("(No emulator knows the keys that sign checkpoints on AWS.)");
            return None;
        }
        self.teller.chapter("Keep a signed checkpoint of where the log ends");
        let kept = self.done("GET", "/audit/checkpoint", None, Value::to_string).await;
        let checkpoint: Checkpoint = serde_json::from_value(kept.clone()).expect("a checkpoint");
        assert!(checkpoint.is_signed(), "{kept}");
        assert_eq!((&kept["seq"], &kept["hash"]), (&verified["headSeq"], &verified["headHash"]));
        Some(kept)
    }
}

fn position(data: &Value) -> String {
    let state = &data["state"];
    let counted = |name: &str| state[name].as_object().map_or(0, serde_json::Map::len);
    format!(
        "after event {}, at {}: {} agents, {} keys",
        data["seq"],
        text(&data["at"]),
        counted("agents"),
        counted("keys")
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(value: &Value) -> usize {
    list(value).len()
}

fn find<'a>(items: &'a Value, member: &str, is: &str) -> &'a Value {
    let found = list(items).iter().find(|item| item[member] == is);
    found.unwrap_or_else(|| panic!("none has {member} {is}: {items}"))
}
