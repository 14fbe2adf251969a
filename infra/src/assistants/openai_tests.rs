use super::*;
use crate::assistants::Refused;
use crate::assistants::replay::Replay;
use crate::databases::guard::Guard;
use crate::secret::Secret;
use domain::FieldError;
use domain::limits::ASSISTANT_ANSWER_BYTES;
use std::time::Duration;

fn brief() -> Brief {
    let schema = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
    Brief { instructions: "rules", question: r#"{"goal":"a"}"#.to_owned(), schema, refused: Vec::new() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// As a service records it, cut to what is read and some of what is not.
fn completion(content: &str, finish_reason: &str) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_764_000_000, "model": "a-model-2026",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content, "refusal": null, "annotations": [] },
            "logprobs": null,
            "finish_reason": finish_reason,
        }],
        "usage": { "prompt_tokens": 812, "completion_tokens": 96, "total_tokens": 908 },
    })
    .to_string()
}

async fn asked(status: u16, body: String) -> Result<Value, AssistantError> {
    let replay = Replay::of(status, body).await;
    let assistant = OpenAi::new(&replay.url, "a-model".to_owned(), Key::None).expect("an address");
    assistant.propose(&brief(), soon()).await
}

#[tokio::test]
async fn the_question_is_asked_with_the_key_the_rules_and_a_strict_form() {
    let replay = Replay::of(200, completion(r#"{"operation":"none"}"#, "stop")).await;
    let key = Key::Given(Secret::new("sk-of-the-operator".to_owned()));
    let assistant =
        OpenAi::new(&format!("{}/v1/", replay.url), "a-model".to_owned(), key).expect("an address");
    let error = FieldError::new("inputs[0].arg", "unknown_column", "there is none");
    let refused = vec![Refused::new(json!({ "operation": "x" }), &[error])];
    let answer = assistant.propose(&Brief { refused, ..brief() }, soon()).await;
    assert_eq!(answer, Ok(json!({ "operation": "none" })));
    let asked = replay.asked().await;
    assert_eq!(asked.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.headers["authorization"], "Bearer sk-of-the-operator");
    assert_eq!(asked.headers["content-type"], "application/json");
    let messages = asked.body["messages"].as_array().expect("messages");
    let roles: Vec<&str> = messages.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(messages[0]["content"], "rules");
    assert_eq!(messages[1]["content"], r#"{"goal":"a"}"#);
    assert_eq!(messages[2]["content"], r#"{"operation":"x"}"#);
    assert!(messages[3]["content"].as_str().is_some_and(|text| text.contains("inputs[0].arg")));
    let form = &asked.body["response_format"];
    assert_eq!((form["type"].as_str(), &form["json_schema"]["strict"]), (Some("json_schema"), &json!(true)));
    assert_eq!(form["json_schema"]["schema"], brief().schema);
    assert_eq!(asked.body["model"], "a-model");
}

#[tokio::test]
async fn a_service_that_asks_for_no_key_is_sent_none() {
    let replay = Replay::of(200, completion("{}", "stop")).await;
    let assistant = OpenAi::new(&replay.url, "a-model".to_owned(), Key::None).expect("an address");
    assert_eq!(assistant.propose(&brief(), soon()).await, Ok(json!({})));
    assert!(!replay.asked().await.headers.contains_key("authorization"));
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let refusal = json!({ "choices": [{ "message": { "content": null, "refusal": "I cannot" } }] });
    for (status, body, expected) in [
        (429, r#"{"error":{"message":"too many"}}"#.to_owned(), AssistantError::Status(429)),
        (500, "<html>".to_owned(), AssistantError::Status(500)),
        (302, String::new(), AssistantError::Status(302)),
        (200, "no JSON".to_owned(), AssistantError::Malformed),
        (200, r#"{"choices":[]}"#.to_owned(), AssistantError::Malformed),
        (200, completion("Sure! Here is your binding:", "stop"), AssistantError::Malformed),
        (200, completion(r#"{"operation":"pat"#, "length"), AssistantError::CutOff),
        (200, completion("", "content_filter"), AssistantError::Declined),
        (200, refusal.to_string(), AssistantError::Declined),
        (200, " ".repeat(ASSISTANT_ANSWER_BYTES + 1), AssistantError::TooLong),
    ] {
        assert_eq!(asked(status, body).await, Err(expected));
    }
}

#[tokio::test]
async fn a_service_that_is_silent_or_away_ends_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let assistant = OpenAi::new(&url, "a-model".to_owned(), Key::None).expect("an address");
    let late = assistant.propose(&brief(), Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(late, Err(AssistantError::Late));
    drop(silent);
    assert_eq!(assistant.propose(&brief(), soon()).await, Err(AssistantError::Unreachable));
}

#[test]
fn an_operators_service_may_be_in_his_own_network_and_never_where_clouds_keep_metadata() {
    let guard = Guard::of_the_operator();
    for own in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "::1", "fd00::1"] {
        let address = own.parse().expect("an address");
        assert!(guard.judge(address).is_ok() && guard.opens(address), "{own}");
    }
    for metadata in ["169.254.169.254", "168.63.129.16", "fe80::1", "0.0.0.0", "::ffff:169.254.169.254"] {
        assert!(guard.judge(metadata.parse().expect("an address")).is_err(), "{metadata}");
    }
    let public = "8.8.8.8".parse().expect("an address");
    assert!(guard.judge(public).is_ok() && !guard.opens(public), "dialled, and spoken to over TLS only");
}

#[test]
fn what_is_no_address_of_a_service_is_refused() {
    for url in
        ["", "models.internal/v1", "ftp://models.internal", "https://a:b@models.internal", "https://a/?b=c"]
    {
        assert!(OpenAi::new(url, "a-model".to_owned(), Key::None).is_err(), "{url}");
    }
}
