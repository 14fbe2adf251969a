//! Webhooks. The log knows where events go and which secret signs them, never the secret.

use crate::Seq;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCreated {
    pub url: String,
    /// Event types that are delivered; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeSet<String>>,
    /// The event after which delivery starts.
    pub from: Seq,
}

/// The secret is made of a key that never leaves the service, the subscription and this number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionSecretRotated {
    pub secret_version: u32,
    /// Until then deliveries are signed with the secret before, too.
    #[schemars(with = "String")]
    pub previous_until: Timestamp,
}

/// Nothing is delivered until a person resumes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionParked {
    /// The event that could not be delivered.
    pub at: Seq,
    /// One sentence for the operator.
    pub reason: String,
}

/// Delivery goes on where it stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionResumed {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionDeleted {}
