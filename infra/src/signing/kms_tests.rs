//! KMS as its API describes it, for no emulator knows keys of this kind: a scripted service with one key.

use super::*;
use crate::emulators::impatient_sdk_config;
use crate::signing::{DerivedSigner, is_signed};
use aws_lc_rs::signature::KeyPair;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

const KEY: &str = "alias/checkpoints";

/// What the service was asked, and how it answers.
#[derive(Clone, Debug, Default)]
struct Kms {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    /// Of a public key, in hex, before the key itself.
    der: &'static str,
    refuses: Arc<Mutex<Option<&'static str>>>,
}

const ED25519_DER: &str = "302a300506032b6570032100";

fn key() -> DerivedSigner {
    DerivedSigner::new(&Zeroizing::new([7; 32]))
}

impl Kms {
    fn asked(&self, operation: &str) -> Vec<Value> {
        let asked = self.asked.lock().expect("not poisoned");
        asked.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }

    fn answer(&self, operation: &str, request: &Value) -> Value {
        let (signs, base64) = (key(), |bytes: &[u8]| BASE64_STANDARD.encode(bytes));
        match operation {
            "GetPublicKey" => {
                let der = hex::decode(self.der).expect("hex");
                json!({ "KeyId": KEY, "PublicKey": base64(&[&der, signs.0.public_key().as_ref()].concat()) })
            }
            "Sign" => {
                let message = BASE64_STANDARD.decode(request["Message"].as_str().expect("a message"));
                let signature = signs.0.sign(&message.expect("base64"));
                json!({ "KeyId": KEY, "Signature": base64(signature.as_ref()) })
            }
            other => panic!("{other} is not asked of KMS here"),
        }
    }
}

impl HttpClient for Kms {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Kms {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().expect("a body")).expect("JSON");
        let (status, answer) = match *self.refuses.lock().expect("not poisoned") {
            Some(code) => (400, json!({ "__type": code, "message": "as the test says" })),
            None => (200, self.answer(&operation, &body)),
        };
        self.asked.lock().expect("not poisoned").push((operation, body));
        let status = status.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(answer.to_string()))))
    }
}

async fn signer(der: &'static str) -> (KmsSigner, Kms) {
    let kms = Kms { der, ..Kms::default() };
    let config = impatient_sdk_config("http://127.0.0.1:1").await;
    let config = config.to_builder().http_client(kms.clone()).build();
    (KmsSigner::new(&config, KEY.to_owned()), kms)
}

#[tokio::test]
async fn a_message_is_signed_whole_by_the_key_whose_public_half_is_told() {
    let (signer, kms) = signer(ED25519_DER).await;
    let public = signer.public_key().await.expect("a key");
    assert_eq!(Ok(public), key().public_key().await);
    let signature = signer.sign(b"a checkpoint").await.expect("signs");
    assert!(is_signed(&public, b"a checkpoint", &signature));
    let asked = json!({
        "KeyId": KEY,
        "Message": BASE64_STANDARD.encode("a checkpoint"),
        "MessageType": "RAW",
        "SigningAlgorithm": "ED25519_SHA_512",
    });
    assert_eq!(kms.asked("Sign"), [asked]);
}

#[tokio::test]
async fn the_public_key_is_asked_for_once_and_again_when_there_was_no_answer() {
    let (signer, kms) = signer(ED25519_DER).await;
    *kms.refuses.lock().expect("not poisoned") = Some("DisabledException");
    assert_eq!(signer.public_key().await, Err(CannotSign));
    assert_eq!(signer.sign(b"a checkpoint").await, Err(CannotSign));
    *kms.refuses.lock().expect("not poisoned") = None;
    for _ in 0..3 {
        assert_eq!(signer.public_key().await, key().public_key().await);
    }
    assert_eq!(kms.asked("GetPublicKey").len(), 2);
}

#[tokio::test]
async fn a_key_of_another_kind_is_refused() {
    // X25519, which has keys of the same length.
    let (signer, _) = signer("302a300506032b656e032100").await;
    assert_eq!(signer.public_key().await, Err(CannotSign));
}
