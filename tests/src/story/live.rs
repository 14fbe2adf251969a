//! What callers meet: published skills, and what stops them.

use super::{Story, Told, text, version};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RECORDED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Story<'_> {
    pub(super) async fn publish_and_call(&self, agent: &str) -> Told {
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

    /// By the value that found the patient, of which the records hold a keyed hash.
    pub(super) async fn look_who_called(&self, agent: &str) {
        self.teller.chapter("Which calls looked this patient up? Each left a record, without a value in it");
        let path = format!("/agents/{agent}/calls?lookup=%2B12025550142&limit=5");
        // Where each endpoint is a process of its own, its records come in their own time.
        let give_up = Instant::now() + RECORDED_WITHIN;
        while self.http.get(&path).await.body["pagination"]["total"] != 4 {
            assert!(Instant::now() < give_up, "the four calls are not recorded");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let calls = self
            .done("GET", &path, None, |data| {
                let calls = data.as_array().into_iter().flatten();
                let lines: Vec<String> = calls
                    .map(|call| {
                        format!(
                            "{} {} by {} ({} ms), phone {}…",
                            text(&call["tool"]),
                            text(&call["outcome"]),
                            call["actor"]["name"],
                            call["timing"]["totalMs"],
                            &text(&call["lookup"]["hash"])[..8]
                        )
                    })
                    .collect();
                lines.join("; ")
            })
            .await;
        let outcomes: Vec<&Value> =
            calls.as_array().into_iter().flatten().map(|call| &call["outcome"]).collect();
        assert_eq!(outcomes, ["ok", "refused", "refused", "ok"], "{calls}");
        assert!(!calls.to_string().contains("2025550142"), "{calls}");
    }

    pub(super) async fn block_what_is_live(&self, agent: &str) {
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
}
