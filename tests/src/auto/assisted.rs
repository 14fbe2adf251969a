//! With an assistant: what it is sent, and what of its answers is taken.

use super::stub::{KEY, Said, Stub};
use super::{Clinic, GOAL, PHONE};
use crate::http::Answer;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// An answer of the form that is asked for: patients by their phone.
fn right() -> Value {
    json!({
        "operation": "patients.read", "toolName": "who_is_calling",
        "description": "Finds the patient who has this phone number.",
        "inputs": [input("phone")],
        "projection": [{ "from": "patients", "column": "full_name", "leaf": "name" }],
        "orderBy": [], "limit": 1, "keyColumn": null, "keyParam": null,
        "confidence": 0.75, "reason": "A phone number is unique.",
    })
}

fn input(arg: &str) -> Value {
    json!({
        "param": "number", "arg": arg, "required": true, "description": "With country code",
        "source": "model", "value": null,
    })
}

fn with(changes: Value) -> Value {
    let mut answer = right();
    for (name, value) in changes.as_object().expect("changes") {
        answer[name] = value.clone();
    }
    answer
}

/// What becomes of a goal for which the assistant says this, whenever it is asked; and how often it was.
async fn told(said: impl Fn(usize) -> Said + Send + Sync + 'static) -> (Answer, Vec<String>) {
    let stub = Stub::start(said).await;
    let clinic = Clinic::open(IntegrationKind::Postgres, &stub.variables()).await;
    let answer = clinic.ask(json!({ "goal": GOAL })).await;
    let skills = clinic.skills().await;
    assert_eq!(skills.len(), 1, "{}", answer.text);
    assert_eq!(skills[0]["isEnabled"], false, "{}", answer.text);
    (answer, stub.asked())
}

/// The drafter's proposal was taken, and the answer says so and why.
fn is_embedded(answer: &Answer, because: &str) {
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.data()["assistant"], json!({ "provider": "embedded" }));
    let lines = answer.data()["rationale"].as_array().expect("lines").iter();
    let note = format!("The assistant was not used, because {because}.");
    assert!(lines.into_iter().any(|line| *line == note), "{note} in {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_right_becomes_a_disabled_draft() {
    let (answer, asked) = told(|_| Said::json(&right())).await;
    let data = answer.data();
    assert_eq!(data["assistant"], json!({ "provider": "openai", "model": "a-model" }));
    assert_eq!((&data["skill"]["tool"], &data["confidence"]), (&json!("who_is_calling"), &json!(0.75)));
    assert_eq!(data["rationale"], json!(["The assistant says: A phone number is unique."]));
    assert_eq!(data["proposal"]["inputs"][0]["arg"], "phone");
    assert_eq!(asked.len(), 1);
    assert!(!answer.text.contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_but_names_types_and_comments_inside_the_scoping() {
    for kind in [IntegrationKind::Postgres, IntegrationKind::Mysql] {
        let stub = Stub::start(|_| Said::json(&with(json!({ "limit": 0 })))).await;
        let clinic = Clinic::open(kind, &stub.variables()).await;
        let scoping = json!({ "blockedTables": ["insurance_claims"], "blockedColumns": { "patients": ["ssn", "email"] } });
        clinic.site.http.patch(&format!("/integrations/{kind}/scoping"), scoping).await.data();
        let goal = "Tell a patient their next appointment and open invoices";
        clinic.ask(json!({ "goal": goal, "allowWrite": true })).await.data();
        let owner = clinic.engine.owner(&clinic.database);
        let secrets = [
            "ssn",
            "social security",
            "insurance_claims",
            "patients.email", // blocked
            PHONE,
            "Egan",
            "APT-000124", // rows
            KEY,
            owner.password.expose(),
            &owner.user,
            "CERTIFICATE", // credentials
            &clinic.database,
            "127.0.0.1",
            "localhost",
            &owner.port.to_string(), // where it is
        ]
        .map(str::to_lowercase);
        let asked = stub.asked();
        assert_eq!(asked.len(), 3, "a question and two repairs");
        for body in &asked {
            let sent = body.to_lowercase();
            assert!(sent.contains("appointments") && sent.contains("visits, past and planned"), "{body}");
            for secret in &secrets {
                assert!(!sent.contains(secret), "{secret} in {body}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_checks_refuse_is_mended_once_it_is_told_why() {
    let wrong = with(json!({ "inputs": [input("first_name")] }));
    let (answer, asked) =
        told(move |number| Said::json(&if number == 0 { wrong.clone() } else { right() })).await;
    assert_eq!(answer.data()["assistant"]["provider"], "openai", "{}", answer.text);
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].contains("filter_not_indexed") && asked[1].contains("filter_not_indexed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_that_never_gets_it_right_is_asked_three_times_and_then_done_without() {
    let (answer, asked) = told(|_| Said::json(&with(json!({ "inputs": [] })))).await;
    is_embedded(&answer, "its proposals did not pass the checks of a binding");
    assert_eq!(asked.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_malicious_answer_says_the_draft_is_the_drafters() {
    let leaf = |from: &str, column: &str| json!([{ "from": from, "column": column, "leaf": "a" }]);
    let answers = vec![
        with(json!({ "operation": "pg_catalog.pg_shadow.read" })),
        with(json!({ "operation": "patients.insert" })),
        with(
            json!({ "operation": "patients.update", "keyColumn": "id", "keyParam": "id", "projection": [] }),
        ),
        with(json!({ "operation": "patients.delete" })),
        with(json!({ "enabled": true })),
        with(json!({ "published": true, "isWrite": true })),
        with(json!({ "scoping": { "blockedTables": [] } })),
        with(json!({ "inputs": [input("phone\" = '' OR 1=1; DROP TABLE patients; --")] })),
        with(json!({ "projection": leaf("patients", "phone FROM patients; DELETE FROM patients; --") })),
        with(json!({ "projection": leaf("patients\"; --", "phone") })),
        with(
            json!({ "projection": [{ "from": "patients", "column": "phone", "leaf": "a\"; DROP TABLE patients" }] }),
        ),
        with(json!({ "toolName": "\u{0}", "limit": 1 })),
        json!([right(), right()]),
    ];
    // One server for all: each answer is given for one goal, three times.
    let (count, answers) = (answers.len(), Arc::new(answers));
    let said = answers.clone();
    let stub = Stub::start(move |number| Said::json(&said[number / 3])).await;
    let clinic = Clinic::open(IntegrationKind::Postgres, &stub.variables()).await;
    for answer in answers.iter() {
        is_embedded(
            &clinic.ask(json!({ "goal": GOAL })).await,
            "its proposals did not pass the checks of a binding",
        );
        assert!(
            clinic.skills().await.iter().all(|it| it["isEnabled"] == false && it["isWrite"] == false),
            "{answer}"
        );
    }
    assert_eq!((clinic.skills().await.len(), stub.asked().len()), (count, 3 * count));
    let agent = clinic.site.http.get(&format!("/agents/{}", clinic.agent)).await;
    assert!(agent.data()["publishedVersion"].is_null());
    let patients = clinic.engine.admin_sql(&clinic.database, "SELECT count(*) > 0 FROM patients");
    assert_eq!(patients.trim(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_is_done_without_and_the_answer_says_why() {
    let scripts: Vec<(fn() -> Said, &str, usize)> = vec![
        (|| Said::Status(429), "its service answered with status 429", 1),
        (|| Said::Status(500), "its service answered with status 500", 1),
        (|| Said::Raw("<html>".to_owned()), "its answer was not of the form that was asked for", 3),
        (|| Said::Text("Of course! Here".to_owned()), "its answer was not of the form that was asked for", 3),
        (|| Said::Raw(" ".repeat(8 * 1024 * 1024)), "its answer was longer than a binding can be", 1),
        (|| Said::json(&with(json!({ "operation": "none" }))), "it found nothing that serves the goal", 1),
    ];
    let now: Arc<Mutex<fn() -> Said>> = Arc::new(Mutex::new(scripts[0].0));
    let script = now.clone();
    let stub = Stub::start(move |_| (script.lock().expect("not poisoned"))()).await;
    let clinic = Clinic::open(IntegrationKind::Postgres, &stub.variables()).await;
    let mut before = 0;
    for (said, because, rounds) in scripts {
        *now.lock().expect("not poisoned") = said;
        is_embedded(&clinic.ask(json!({ "goal": GOAL })).await, because);
        assert_eq!(stub.asked().len() - before, rounds, "{because}");
        before = stub.asked().len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_that_is_silent_is_not_waited_for_beyond_its_time() {
    let stub = Stub::start(|_| Said::Silence).await;
    let mut variables = stub.variables();
    variables.push(("BINDERY_ASSISTANT_TIMEOUT_MS", "200"));
    let clinic = Clinic::open(IntegrationKind::Postgres, &variables).await;
    is_embedded(&clinic.ask(json!({ "goal": GOAL })).await, "it did not answer in time");
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_an_assistant_needs_the_same_leave_and_lands_disabled() {
    let write = with(json!({
        "operation": "appointments.update", "toolName": "note_reason", "keyColumn": "reference",
        "keyParam": "reference", "inputs": [input("reason")], "projection": [], "limit": 1,
    }));
    let stub = Stub::start(move |_| Said::json(&write)).await;
    let clinic = Clinic::open(IntegrationKind::Postgres, &stub.variables()).await;
    let goal = "Change the reason of an appointment";
    let refused = clinic.ask(json!({ "goal": goal })).await;
    assert_eq!(refused.code(), "no_binding_found", "{}", refused.text);
    let allowed = clinic.ask(json!({ "goal": goal, "allowWrite": true })).await;
    let skill = &allowed.data()["skill"];
    assert_eq!(allowed.data()["assistant"]["provider"], "openai", "{}", allowed.text);
    assert_eq!((&skill["isWrite"], &skill["isEnabled"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&skill["requiresConfirmation"], &skill["requiresVerifiedIdentity"]),
        (&json!(true), &json!(true))
    );
}
