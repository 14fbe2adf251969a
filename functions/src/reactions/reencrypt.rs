//! Wraps the data keys of sealed credentials under the KMS key as it is now. KMS does it: nothing is opened.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use infra::storage::dynamodb::reencrypt::reencrypt;
use serde_json::json;
use std::time::Duration;

pub static REACTION: Reaction = Reaction {
    name: "credentials-reencrypt",
    summary: "Wraps the data keys of credentials under the current key",
    woken_by: Trigger::Schedule { every: Duration::from_secs(24 * 3600) },
    function: Function {
        grants: &[Grant::ReencryptCredentials],
        memory_mb: 256,
        timeout: Duration::from_secs(900),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let done = reencrypt(&woken.aws.store, &woken.aws.sealer).await.map_err(|error| error.to_string())?;
    Ok(Reacted {
        answer: json!({ "rewrapped": done.rewrapped, "gone": done.gone, "refused": done.refused }),
        counts: vec![("CredentialsRewrapped", done.rewrapped), ("CredentialsRefused", done.refused)],
        ..Reacted::default()
    })
}
