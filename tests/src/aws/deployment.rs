//! Which functions there are and what each is told, as the template deploys them.

use super::fleet::Deployed;
use super::resources::Resources;
use super::template::{Declared, FUNCTIONS, resolved};
use std::collections::BTreeMap;

/// Where functions find what they call.
pub struct Reached {
    /// The gateway, which error documents are linked below.
    pub url: String,
    pub dynamodb: String,
    pub events: String,
    pub kms: String,
    pub secrets: String,
    pub s3: String,
}

/// Every endpoint's function and every other, each with these variables too.
pub fn all(resources: &Resources, reached: &Reached, variables: &[(&str, &str)]) -> Vec<Deployed> {
    let deployed = |declared: &Declared| Deployed {
        name: declared.name.clone(),
        environment: environment(declared, resources, reached, variables),
        memory_mb: declared.memory_mb,
        timeout: declared.timeout,
    };
    FUNCTIONS.iter().map(deployed).collect()
}

/// What the template says, for this stack, beside what the Lambda service and the emulators need.
fn environment(
    declared: &Declared,
    resources: &Resources,
    reached: &Reached,
    variables: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let known = BTreeMap::from([
        ("AWS::StackName", resources.names.prefix.clone()),
        ("ArtefactsBucket", resources.names.bucket.clone()),
        ("EventBus", resources.event_bus.clone()),
        ("CredentialsKey.Arn", resources.credentials_key.clone()),
        ("AnswersKey.Arn", resources.answers_key.clone()),
        ("CheckpointsKey.Arn", resources.checkpoints_key.clone()),
        ("PublicUrl", reached.url.clone()),
        // The test engines are on this machine, which a customer's never are.
        ("AllowPrivateHosts", "127.0.0.0/8,::1/128".to_owned()),
    ]);
    let told = declared.variables.iter().map(|(name, value)| (name.clone(), resolved(value, &known)));
    let mut environment: BTreeMap<_, _> = told.collect();
    let around = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "emulator"),
        ("AWS_SECRET_ACCESS_KEY", "emulator"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &reached.dynamodb),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", &reached.events),
        ("AWS_ENDPOINT_URL_KMS", &reached.kms),
        ("AWS_ENDPOINT_URL_S3", &reached.s3),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &reached.secrets),
    ];
    for (name, value) in around.iter().chain(variables) {
        environment.insert((*name).to_owned(), (*value).to_owned());
    }
    environment
}
