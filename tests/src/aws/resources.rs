//! What the template would make for one deployment: tables, keys, secrets and a bucket, under names of their own, so
//! that many live on the same emulators.

use super::wire::Wire;
use functions::random;
use infra::emulators;
use infra::storage::dynamodb::create_tables;
use infra::storage::dynamodb::tables::{Names, TABLES};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

/// Buckets anywhere but in the first region say where they are.
const IN_EUROPE: &str = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";

pub struct Resources {
    pub names: Names,
    /// Its name.
    pub event_bus: String,
    /// Seals credentials.
    pub credentials_key: String,
    /// Seals kept answers.
    pub answers_key: String,
    /// Would sign checkpoints; no emulator knows keys of its kind.
    pub checkpoints_key: String,
    /// What stands in Secrets Manager.
    pub secrets: Vec<(&'static str, String)>,
    /// DynamoDB and its streams, past all proxies.
    pub dynamodb: Wire,
    /// KMS, Secrets Manager, S3, EventBridge and SQS, past all proxies.
    pub others: Wire,
}

impl Resources {
    pub async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("bindery-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let names = Names { bucket: format!("{prefix}-artefacts"), prefix };
        // Both take a while to start, moto most of all.
        let urls = tokio::task::spawn_blocking(|| {
            (emulators::dynamodb().url.clone(), emulators::moto().url.clone())
        });
        let (dynamodb, others) = urls.await.expect("the emulators start");
        let client = aws_sdk_dynamodb::Client::new(&emulators::sdk_config(&dynamodb).await);
        create_tables(&client, &names).await;
        let others = Wire::to(&others);
        others.s3(reqwest::Method::PUT, &names.bucket, IN_EUROPE).await;
        let secrets = vec![("api-key-pepper", random::base62(32)), ("signing-keys", random::base62(32))];
        for (secret, value) in &secrets {
            let name = format!("{}/{secret}", names.prefix);
            others.call("secretsmanager.CreateSecret", json!({ "Name": name, "SecretString": value })).await;
        }
        let event_bus = names.prefix.clone();
        others.call("AWSEvents.CreateEventBus", json!({ "Name": event_bus })).await;
        let (credentials_key, answers_key) = (key(&others).await, key(&others).await);
        let checkpoints_key = format!("alias/{}-checkpoints", names.prefix);
        Self {
            names,
            event_bus,
            credentials_key,
            answers_key,
            checkpoints_key,
            secrets,
            dynamodb: Wire::to(&dynamodb),
            others,
        }
    }

    /// Everything that is stored, each piece with where it is: all items of all tables, and all objects of the bucket.
    pub async fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let mut stored = Vec::new();
        for table in TABLES {
            for item in self.dynamodb.scan(&self.names.table(table.name)).await {
                let place =
                    format!("{} {} {}", table.name.as_str(), item["organization"]["S"], item["item"]["S"]);
                stored.extend(
                    item.as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| (format!("{place} {name}"), bytes(value))),
                );
            }
        }
        let listed =
            self.others.s3(reqwest::Method::GET, &format!("{}?list-type=2", self.names.bucket), "").await;
        let listed = String::from_utf8(listed).expect("a list in XML");
        for key in listed.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            let path = format!("{}/{key}", self.names.bucket);
            stored.push((path.clone(), self.others.s3(reqwest::Method::GET, &path, "").await));
        }
        stored
    }
}

/// What an attribute holds: binary ones as they are and unpacked where they are packed, others as JSON.
fn bytes(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let binary = value["B"].as_str().map(|text| base64::engine::general_purpose::STANDARD.decode(text));
    match binary {
        Some(binary) => {
            let mut binary = binary.expect("the emulator encodes it");
            let unpacked = zstd::stream::decode_all(binary.as_slice()).unwrap_or_default();
            binary.extend(unpacked);
            binary
        }
        None => value.to_string().into_bytes(),
    }
}

async fn key(wire: &Wire) -> String {
    let made = wire.call("TrentService.CreateKey", json!({})).await;
    made["KeyMetadata"]["Arn"].as_str().expect("a key").to_owned()
}
