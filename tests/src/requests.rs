//! What every request may rely on, whatever the endpoint.

mod concurrency;
mod headers;
mod paging;
mod problems;
mod repeats;

use crate::http::Answer;
use serde_json::Value;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}

/// The fields that an answer finds wrong, in its order, with their codes.
fn wrong(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("errors in {}", answer.text));
    errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
}
