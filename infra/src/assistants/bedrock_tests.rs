use super::*;
use crate::assistants::Refused;
use crate::assistants::replay::Replay;
use crate::emulators::impatient_sdk_config;
use std::time::Duration;

const MODEL: &str = "arn:aws:bedrock:eu-central-1:1:inference-profile/eu.a-model-v1:0";

fn brief() -> Brief {
    let schema = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
    Brief { instructions: "rules", question: r#"{"goal":"a"}"#.to_owned(), schema, refused: Vec::new() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn bedrock(url: &str) -> Bedrock {
    let config = impatient_sdk_config("http://127.0.0.1:1").await;
    Bedrock::new(&config, MODEL.to_owned(), Some(url)).expect("it is complete")
}

/// An exchange of Converse as the service's reference gives it, with what is not read left in.
fn conversed(content: Value, stop_reason: &str) -> String {
    json!({
        "metrics": { "latencyMs": 1175 },
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": stop_reason,
        "usage": { "inputTokens": 912, "outputTokens": 104, "totalTokens": 1016 },
    })
    .to_string()
}

fn used(name: &str) -> Value {
    json!({ "toolUse": { "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "name": name, "input": { "limit": 1 } } })
}

#[tokio::test]
async fn the_tool_is_strict_and_the_only_one_and_the_request_is_signed() {
    let thinking = json!({ "text": "I will propose a binding." });
    let replay = Replay::of(200, conversed(json!([thinking, used(TOOL)]), "tool_use")).await;
    let assistant = bedrock(&replay.url).await;
    let refused = vec![Refused::new(json!({ "limit": 0 }), &[])];
    let answer = assistant.propose(&Brief { refused, ..brief() }, soon()).await;
    assert_eq!(answer, Ok(json!({ "limit": 1 })));
    let asked = replay.asked().await;
    let path =
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Feu.a-model-v1%3A0/converse";
    assert_eq!(asked.line, format!("POST {path} HTTP/1.1"));
    let signature = &asked.headers["authorization"];
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=emulator/"), "{signature}");
    assert!(signature.contains("/eu-central-1/bedrock/aws4_request"), "{signature}");
    assert!(signature.contains("SignedHeaders=content-type;host;x-amz-date"), "{signature}");
    assert_eq!(asked.body["system"], json!([{ "text": "rules" }]));
    let tools = &asked.body["toolConfig"];
    assert_eq!(tools["toolChoice"], json!({ "tool": { "name": TOOL } }));
    assert_eq!(tools["tools"].as_array().map(Vec::len), Some(1));
    let tool = &tools["tools"][0]["toolSpec"];
    assert_eq!((&tool["strict"], &tool["inputSchema"]["json"]), (&json!(true), &brief().schema));
    let messages = asked.body["messages"].as_array().expect("messages");
    assert_eq!(messages[0], json!({ "role": "user", "content": [{ "text": r#"{"goal":"a"}"# }] }));
    assert_eq!(messages[1]["content"][0]["toolUse"]["input"], json!({ "limit": 0 }));
    let result = &messages[2]["content"][0]["toolResult"];
    assert_eq!(result["toolUseId"], messages[1]["content"][0]["toolUse"]["toolUseId"]);
    assert_eq!(result["status"], "error");
}

#[tokio::test]
async fn a_signature_covers_the_body_and_the_time() {
    let assistant = bedrock("http://127.0.0.1:1").await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
    let signed = assistant.signed(b"{}", at).await.expect("there are credentials");
    let again = assistant.signed(b"{}", at).await.expect("there are credentials");
    let other = assistant.signed(b"{ }", at).await.expect("there are credentials");
    assert_eq!(signed["x-amz-date"], "20251124T160000Z");
    assert_eq!(signed["authorization"], again["authorization"]);
    assert_ne!(signed["authorization"], other["authorization"], "the body is signed too");
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    for (status, body, expected) in [
        (429, r#"{"message":"Too many requests"}"#.to_owned(), AssistantError::Status(429)),
        (403, r#"{"message":"not authorized"}"#.to_owned(), AssistantError::Status(403)),
        (200, "no JSON".to_owned(), AssistantError::Malformed),
        (200, conversed(json!([{ "text": "I would rather talk." }]), "end_turn"), AssistantError::Malformed),
        (200, conversed(json!([used("another_tool")]), "tool_use"), AssistantError::Malformed),
        (200, conversed(json!([used(TOOL)]), "max_tokens"), AssistantError::CutOff),
        (200, conversed(json!([]), "guardrail_intervened"), AssistantError::Declined),
    ] {
        let replay = Replay::of(status, body).await;
        assert_eq!(bedrock(&replay.url).await.propose(&brief(), soon()).await, Err(expected));
    }
}
