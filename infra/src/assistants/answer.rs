//! What an assistant answered, held against what it was offered.

use super::offer::{NOTHING, Offer};
use domain::FieldError;
use domain::drafting::Proposal;
use domain::limits::ASSISTANT_TEXT_CHARS;
use domain::statement::{self, Request, RequestInput};
use events::scoping::Blocked;
use events::skill::{Direction, Projected, Source};
use serde::Deserialize;
use serde_json::Value;

/// The form that [`Offer::brief`] asks for. There is no field for anything that a proposal must not decide.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    operation: String,
    tool_name: String,
    description: String,
    inputs: Vec<Input>,
    projection: Vec<Leaf>,
    order_by: Vec<Order>,
    limit: i64,
    key_column: Option<String>,
    key_param: Option<String>,
    confidence: f32,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    param: String,
    arg: String,
    required: bool,
    description: String,
    source: Source,
    value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    from: String,
    column: String,
    leaf: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    column: String,
    direction: Direction,
}

/// What an assistant came to.
pub enum Judged {
    /// It compiles against the offer; the checks of a binding are still to come.
    Proposed(Box<Proposal>),
    /// Nothing that it was shown serves the goal.
    Nothing,
    /// Why its answer is none.
    Refused(Vec<FieldError>),
}

impl Offer {
    pub fn judge(&self, answer: &Value) -> Judged {
        let answer = match Answer::deserialize(answer) {
            Ok(answer) => answer,
            Err(error) => {
                let message: String = error.to_string().chars().take(ASSISTANT_TEXT_CHARS).collect();
                return Judged::Refused(vec![FieldError::new("", "not_of_the_form", message)]);
            }
        };
        if answer.operation == NOTHING {
            return Judged::Nothing;
        }
        if !self.operations.contains(&answer.operation) {
            let message = "must be one of the operations that are listed";
            let error = FieldError::new("operation", "operation_not_allowed", message);
            return Judged::Refused(vec![error]);
        }
        let proposal = answer.proposal();
        // Blocked names are not in the offer, so nothing in it is blocked.
        match statement::compile(&self.catalog, &Blocked::default(), &proposal.request) {
            Ok(_) => Judged::Proposed(Box::new(proposal)),
            Err(errors) => Judged::Refused(errors),
        }
    }
}

impl Answer {
    fn proposal(self) -> Proposal {
        let request = Request {
            operation: self.operation,
            inputs: self.inputs.into_iter().map(Input::asked).collect(),
            projection: self
                .projection
                .into_iter()
                .map(|it| Projected { path: vec![it.from, it.column], leaf: it.leaf })
                .collect(),
            order_by: self.order_by.into_iter().map(|it| (it.column, it.direction)).collect(),
            // Out of range as it may be: the compiler says so.
            limit: Some(u32::try_from(self.limit).unwrap_or(0)),
            key_column: self.key_column,
            key_param: self.key_param,
        };
        let confidence = if self.confidence.is_finite() { self.confidence.clamp(0.0, 1.0) } else { 0.0 };
        let reason = readable(&self.reason);
        let rationale =
            if reason.is_empty() { Vec::new() } else { vec![format!("The assistant says: {reason}")] };
        Proposal { tool_name: self.tool_name, description: self.description, request, confidence, rationale }
    }
}

impl Input {
    fn asked(self) -> RequestInput {
        RequestInput {
            param: self.param,
            arg: self.arg,
            required: Some(self.required),
            description: Some(self.description).filter(|text| !text.trim().is_empty()),
            source: self.source,
            value: (self.source == Source::Constant).then_some(self.value),
        }
    }
}

/// One line of what a model wrote for a person.
fn readable(text: &str) -> String {
    let line = text.split(|char: char| char.is_control() || char.is_whitespace());
    let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(ASSISTANT_TEXT_CHARS).collect()
}
