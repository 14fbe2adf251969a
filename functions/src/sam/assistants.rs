//! Who proposes bindings in a deployment, and what the one function that asks may do for it.

use super::{none_unless, policies, reference, sub};
use serde_json::{Value, json};

pub const PROVIDER: &str = "Assistant";
pub const URL: &str = "AssistantUrl";
pub const MODEL: &str = "AssistantModel";
pub const KEY_SECRET: &str = "AssistantKeySecretArn";
/// The condition that Bedrock is asked.
const IS_BEDROCK: &str = "AssistantIsBedrock";
/// The condition that a service's key was given.
const HAS_KEY: &str = "HasAssistantKey";

pub fn parameters() -> Vec<(&'static str, Value)> {
    let text =
        |what: &str, default: &str| json!({ "Type": "String", "Description": what, "Default": default });
    let mut provider = text(
        "Who proposes bindings for goals: embedded, which needs no service, openai or bedrock",
        "embedded",
    );
    provider["AllowedValues"] = json!(["embedded", "openai", "bedrock"]);
    vec![
        (PROVIDER, provider),
        (
            URL,
            text("What the assistant's paths stand below; empty for OpenAI's or Bedrock's own address", ""),
        ),
        (
            MODEL,
            text("The model that is asked: for bedrock its id, or the id or ARN of an inference profile", ""),
        ),
        (KEY_SECRET, text("ARN of the secret whose text is the key of a service of openai's kind", "")),
    ]
}

pub fn conditions() -> Vec<(&'static str, Value)> {
    vec![
        (IS_BEDROCK, json!({ "Fn::Equals": [reference(PROVIDER), "bedrock"] })),
        (HAS_KEY, json!({ "Fn::Not": [{ "Fn::Equals": [reference(KEY_SECRET), ""] }] })),
    ]
}

/// An inference profile leads to models of other regions, so the model's region is not narrowed; which model it is says
/// the parameter.
pub fn may_ask() -> Vec<Value> {
    let models = json!([
        sub("arn:${AWS::Partition}:bedrock:*::foundation-model/*"),
        sub("arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:inference-profile/*"),
    ]);
    vec![
        none_unless(IS_BEDROCK, policies::allow("AskBedrock", &["bedrock:InvokeModel"], models)),
        none_unless(
            HAS_KEY,
            policies::allow(
                "KnowTheAssistantsKey",
                &["secretsmanager:GetSecretValue"],
                reference(KEY_SECRET),
            ),
        ),
    ]
}
