//! Answers of the live call in the words of the protocol.

use crate::endpoint::Reply;
use crate::problem::Problem;
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, ErrorData, MetaObject};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

const REPLAYED: &str = "bindery/replayed";

/// What is not a business outcome: the model can do nothing about it.
pub fn error(problem: &Problem) -> ErrorData {
    let code = match problem.code.status().as_u16() {
        400..=499 => ErrorCode::INVALID_PARAMS,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let data = json!({ "code": problem.code.as_str(), "errors": problem.errors });
    ErrorData::new(code, problem.detail.clone(), Some(data))
}

/// What a tool answers with: the live call's answer as it is, and the same as text.
pub struct Told<'a> {
    data: &'a RawValue,
    went_well: bool,
    /// First of the texts where it did not go well.
    say: Option<Cow<'a, str>>,
    replayed: bool,
}

impl<'a> Told<'a> {
    /// # Errors
    /// When the answer is not the live call's.
    pub fn by(reply: &'a Reply) -> Result<Self, ErrorData> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            outcome: Cow<'a, str>,
            #[serde(borrow, default)]
            say: Option<Cow<'a, str>>,
        }
        let broken = |_| error(&Problem::internal());
        let Body { data } = serde_json::from_slice(&reply.body).map_err(broken)?;
        let Data { outcome, say } = serde_json::from_str(data.get()).map_err(broken)?;
        let went_well = matches!(&*outcome, "ok" | "not_found");
        let replayed = reply.headers.iter().any(|(name, _)| name.as_str() == "idempotent-replayed");
        Ok(Self { data, went_well, say: say.filter(|_| !went_well), replayed })
    }
}

/// For the SDK.
impl From<Told<'_>> for CallToolResult {
    fn from(told: Told<'_>) -> Self {
        let data: Value = serde_json::from_str(told.data.get()).expect("it is JSON");
        let mut result = match told.went_well {
            true => CallToolResult::structured(data),
            false => CallToolResult::structured_error(data),
        };
        if let Some(say) = told.say {
            result.content.insert(0, ContentBlock::text(say));
        }
        if told.replayed {
            let mut meta = MetaObject::default();
            meta.insert(REPLAYED.to_owned(), true.into());
            result.meta = Some(meta);
        }
        result
    }
}

/// The same as revisions with a handshake have it, without a tree of it in between.
impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Meta {
            #[serde(rename = "bindery/replayed")]
            replayed: bool,
        }
        let mut result = serializer.serialize_struct("CallToolResult", 3 + usize::from(self.replayed))?;
        result.serialize_field("content", &Texts(self))?;
        result.serialize_field("structuredContent", self.data)?;
        result.serialize_field("isError", &!self.went_well)?;
        if self.replayed {
            result.serialize_field("_meta", &Meta { replayed: true })?;
        }
        result.end()
    }
}

struct Texts<'a>(&'a Told<'a>);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type", rename = "text")]
        struct Text<'a> {
            text: &'a str,
        }
        let Told { say, data, .. } = self.0;
        let mut texts = serializer.serialize_seq(Some(1 + usize::from(say.is_some())))?;
        if let Some(say) = say {
            texts.serialize_element(&Text { text: say })?;
        }
        texts.serialize_element(&Text { text: data.get() })?;
        texts.end()
    }
}
