//! Which functions there are and what each is told, as the template deploys them.

use super::fleet::Deployed;
use super::resources::Resources;
use functions::endpoint::{Function, Grant};
use functions::endpoints;
use std::collections::BTreeMap;

/// Functions that are no endpoints.
pub const PROJECTOR: &str = "projector";
pub const WORKER: &str = "discovery-worker";
pub const ALARM: &str = "log-alarm";
pub const SWEEPER: &str = "sweeper";
pub const MINT: &str = "operator-mint";

/// Where functions find what they call.
pub struct Reached {
    /// The gateway, which error documents are linked below.
    pub url: String,
    pub dynamodb: String,
    pub kms: String,
    /// Secrets Manager and S3.
    pub others: String,
}

pub fn all(resources: &Resources, reached: &Reached) -> Vec<Deployed> {
    endpoints::ALL
        .iter()
        .map(|endpoint| deployed(endpoint.name, &endpoint.function, resources, reached))
        .collect()
}

fn deployed(name: &str, function: &Function, resources: &Resources, reached: &Reached) -> Deployed {
    let environment = environment(function.grants, resources, reached);
    Deployed { name: name.to_owned(), environment, memory_mb: function.memory_mb, timeout: function.timeout }
}

fn environment(_grants: &[Grant], _resources: &Resources, reached: &Reached) -> BTreeMap<String, String> {
    let emulated = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "emulator"),
        ("AWS_SECRET_ACCESS_KEY", "emulator"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &reached.dynamodb),
        ("AWS_ENDPOINT_URL_KMS", &reached.kms),
        ("AWS_ENDPOINT_URL_S3", &reached.others),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &reached.others),
    ];
    emulated.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
