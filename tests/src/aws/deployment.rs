//! Which functions there are and what each is told, as the template deploys them.

use super::fleet::Deployed;
use super::resources::Resources;
use functions::endpoint::{Function, Grant};
use functions::{endpoints, reactions};
use std::collections::BTreeMap;

/// Where functions find what they call.
pub struct Reached {
    /// The gateway, which error documents are linked below.
    pub url: String,
    pub dynamodb: String,
    pub kms: String,
    pub secrets: String,
    pub s3: String,
}

/// Every endpoint's function and every other, each with these variables too.
pub fn all(resources: &Resources, reached: &Reached, variables: &[(&str, &str)]) -> Vec<Deployed> {
    let endpoints = endpoints::ALL.iter().map(|endpoint| (endpoint.name, endpoint.function));
    let reactions = reactions::ALL.iter().map(|reaction| (reaction.name, reaction.function));
    let deployed = |(name, function): (&str, Function)| Deployed {
        name: name.to_owned(),
        environment: environment(function.grants, resources, reached, variables),
        memory_mb: function.memory_mb,
        timeout: function.timeout,
    };
    endpoints.chain(reactions).map(deployed).collect()
}

fn environment(
    grants: &[Grant],
    resources: &Resources,
    reached: &Reached,
    variables: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut environment = vec![
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "emulator"),
        ("AWS_SECRET_ACCESS_KEY", "emulator"),
        ("AWS_ENDPOINT_URL_DYNAMODB", reached.dynamodb.as_str()),
        ("AWS_ENDPOINT_URL_KMS", &reached.kms),
        ("AWS_ENDPOINT_URL_S3", &reached.s3),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &reached.secrets),
        ("BINDERY_TABLES", &resources.names.prefix),
        ("BINDERY_BUCKET", &resources.names.bucket),
        ("BINDERY_CREDENTIALS_KEY", &resources.credentials_key),
        ("BINDERY_ANSWERS_KEY", &resources.answers_key),
        ("BINDERY_SECRETS", &resources.names.prefix),
        ("BINDERY_LOG", "info"),
        ("BINDERY_PUBLIC_URL", &reached.url),
    ];
    if grants.contains(&Grant::Dial) {
        // The test engines are on this machine, which a customer's never are.
        environment.push(("BINDERY_ALLOW_PRIVATE_HOSTS", "127.0.0.0/8,::1/128"));
    }
    environment.extend_from_slice(variables);
    environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
