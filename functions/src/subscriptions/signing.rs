//! Secrets and signatures of Standard Webhooks.

use crate::services::Services;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::subscription::Subscription;
use events::{OrganizationId, SubscriptionId};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

impl Services {
    /// The secret of a subscription is derived, so there is none to store: who knows one learns nothing of another.
    pub fn webhook_secret(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        version: u32,
    ) -> Zeroizing<[u8; 32]> {
        let mut mac = keyed(&*self.webhook_key);
        for part in [organization.as_str(), id.as_str()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&version.to_be_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// As it is shown to its owner.
    pub fn webhook_secret_text(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        version: u32,
    ) -> String {
        let secret = self.webhook_secret(organization, id, version);
        format!("{PREFIX}{}", BASE64_STANDARD.encode(secret.as_slice()))
    }

    /// The header `webhook-signature`: one signature for each secret that counts at this instant.
    pub fn webhook_signature(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        subscription: &Subscription,
        message_id: &str,
        now: Timestamp,
        body: &[u8],
    ) -> String {
        let signatures = subscription.secret_versions(now).map(|version| {
            let secret = self.webhook_secret(organization, id, version);
            sign(secret.as_slice(), message_id, now.as_second(), body)
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// `v1,` and HMAC-SHA-256 over `<id>.<seconds>.<body>` as base64.
fn sign(secret: &[u8], message_id: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = keyed(secret);
    mac.update(format!("{message_id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the authors of Standard Webhooks give for their libraries.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
