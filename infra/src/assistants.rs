//! Language models that propose bindings, behind one small trait.
//!
//! `offer` says what one is shown of a schema and what it may answer, `answer` reads what it says, `openai` and
//! `bedrock` speak with services. What comes back is a proposal like any other: whoever asks has it checked as a
//! binding of a person is.

pub mod answer;
#[cfg(feature = "aws")]
pub mod bedrock;
pub mod key;
pub mod offer;
pub mod openai;
#[cfg(test)]
mod replay;
mod service;

use async_trait::async_trait;
use domain::FieldError;
use serde_json::{Value, json};
use std::time::Instant;

/// One who answers a question with JSON of a given form.
#[async_trait]
pub trait Assistant: Send + Sync {
    /// As the configuration names it.
    fn provider(&self) -> &'static str;
    fn model(&self) -> &str;

    /// One answer. Whether it has the asked form is for the caller to find out: services promise it, and models do
    /// not always keep it.
    async fn propose(&self, brief: &Brief, deadline: Instant) -> Result<Value, AssistantError>;
}

/// What an assistant is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// The same for everybody: nothing of a goal or a schema is in it.
    pub instructions: &'static str,
    /// One JSON document. All that others wrote is in its strings.
    pub question: String,
    /// What an answer must be, as a JSON Schema of the strict kind that services take.
    pub schema: Value,
    pub refused: Vec<Refused>,
}

/// An answer that the checks refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub answer: Value,
    pub complaint: String,
}

impl Refused {
    pub fn new(answer: Value, errors: &[FieldError]) -> Self {
        let problems = json!({ "problems": errors });
        let complaint = format!(
            "This is refused. Mend every problem, and answer with a whole binding again.\n{problems}"
        );
        Self { answer, complaint }
    }
}

/// Why there is no answer, as a phrase that completes "because …". What a service said is in none: it is logged by its
/// status only, and may repeat what it was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssistantError {
    #[error("it did not answer in time")]
    Late,
    #[error("it could not be reached")]
    Unreachable,
    #[error("its service answered with status {0}")]
    Status(u16),
    #[error("its answer was longer than a binding can be")]
    TooLong,
    #[error("its answer was cut off")]
    CutOff,
    #[error("its answer was not of the form that was asked for")]
    Malformed,
    #[error("it declined to answer")]
    Declined,
    #[error("its key could not be read")]
    NoKey,
}
