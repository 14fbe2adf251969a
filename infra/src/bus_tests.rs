//! What EventBridge answers is read as its API describes it.

use super::*;
use crate::emulators::sdk_config;
use crate::emulators::wire::{Line, Wire};

const TWO_OF_FOUR: &str = r#"{"FailedEntryCount":2,"Entries":[
    {"EventId":"1"},{"ErrorCode":"ThrottlingException","ErrorMessage":"slow down"},
    {"EventId":"3"},{"ErrorCode":"InternalFailure"}]}"#;

fn entries(count: usize) -> Vec<Entry> {
    let time = "2026-11-05T12:00:00Z".parse().expect("a time");
    let entry = |number: usize| Entry {
        detail_type: "AgentCreated".to_owned(),
        detail: format!(r#"{{"seq":{number}}}"#),
        time,
    };
    (1..=count).map(entry).collect()
}

/// The bus at the end of a line that does as it is told.
async fn bus(line: Line) -> EventBridge {
    let (config, wire) = Wire::through(&sdk_config("http://127.0.0.1:9").await);
    wire.set(line);
    EventBridge::new(&config, "bindery-dev".to_owned())
}

#[tokio::test]
async fn what_was_taken_ends_at_the_first_that_was_refused() {
    let put = bus(Line::Says(TWO_OF_FOUR)).await.put(&entries(4)).await;
    assert_eq!(put, Ok(Put { taken: 1, refused: Some("ThrottlingException".to_owned()) }));
    let all = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"}]}"#;
    assert_eq!(bus(Line::Says(all)).await.put(&entries(2)).await, Ok(Put { taken: 2, refused: None }));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_request_counts_as_none() {
    assert!(bus(Line::Says(TWO_OF_FOUR)).await.put(&entries(5)).await.is_err());
    assert!(bus(Line::Says("{}")).await.put(&entries(1)).await.is_err());
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code() {
    let refused = bus(Line::Answers("AccessDeniedException")).await.put(&entries(1)).await;
    assert_eq!(refused, Err(BusUnavailable("AccessDeniedException".to_owned())));
}

#[test]
fn an_entry_is_as_large_as_eventbridge_counts_it() {
    let [entry] = entries(1).try_into().expect("one");
    assert_eq!(entry.bytes(), 14 + "bindery".len() + "AgentCreated".len() + r#"{"seq":1}"#.len());
}
