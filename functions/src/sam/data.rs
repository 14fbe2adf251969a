//! What holds data: tables, the bucket, the keys and the two secrets. Nothing of it goes with the stack.

use super::{Resource, attribute, reference, sub};
use infra::storage::dynamodb::past::PREFIX;
use infra::storage::dynamodb::tables::{PARTITION, SORT, TABLES, Table, TableName};
use serde_json::{Value, json};

/// A new id makes a new key, and the one before stays in the account.
pub const CREDENTIALS_KEY: &str = "CredentialsKey";
pub const ANSWERS_KEY: &str = "AnswersKey";
/// Signs checkpoints of the log.
pub const CHECKPOINTS_KEY: &str = "CheckpointsKey";
/// Ed25519 over the whole message.
pub const SIGNING_ALGORITHM: &str = "ED25519_SHA_512";
pub const PEPPER: &str = "ApiKeyPepper";
pub const SIGNING_KEYS: &str = "SigningKeys";
pub const BUCKET: &str = "ArtefactsBucket";

/// The logical id of a table.
pub fn table(name: TableName) -> String {
    format!("{}Table", super::pascal(name.as_str()))
}

pub fn tables() -> Vec<Resource> {
    TABLES.iter().map(|it| (table(it.name), table_resource(it))).collect()
}

fn table_resource(it: &Table) -> Value {
    let key = |attribute: &str, role: &str| json!({ "AttributeName": attribute, "KeyType": role });
    let typed = |attribute: &str, its: &str| json!({ "AttributeName": attribute, "AttributeType": its });
    let mut attributes = vec![typed(PARTITION, "S"), typed(SORT, "S")];
    // Without an SSESpecification a table is encrypted under a key that AWS owns. The account's own managed key would be
    // asked, and billed, for by every table, and the log could not be read without KMS.
    let mut properties = json!({
        "TableName": sub(&format!("${{AWS::StackName}}-{}", it.name.as_str())),
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key(PARTITION, "HASH"), key(SORT, "RANGE")],
        "DeletionProtectionEnabled": it.protected,
        "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": it.backed_up },
    });
    if let Some(attribute) = it.expires {
        properties["TimeToLiveSpecification"] = json!({ "AttributeName": attribute, "Enabled": true });
    }
    if it.stream {
        properties["StreamSpecification"] = json!({ "StreamViewType": "NEW_IMAGE" });
    }
    if let Some(index) = it.index {
        attributes.extend([typed(index.partition, "S"), typed(index.sort, "N")]);
        properties["GlobalSecondaryIndexes"] = json!([{
            "IndexName": index.name,
            "KeySchema": [key(index.partition, "HASH"), key(index.sort, "RANGE")],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        }]);
    }
    properties["AttributeDefinitions"] = json!(attributes);
    let resource = json!({ "Type": "AWS::DynamoDB::Table", "Properties": properties });
    if it.protected { left(resource) } else { kept(resource) }
}

/// Stays when the stack is deleted, or when a change would replace it. Goes when the deployment that made it fails, so
/// that the next one finds its name free.
fn kept(resource: Value) -> Value {
    staying(resource, "RetainExceptOnCreate")
}

/// Stays even then: DynamoDB refuses to delete a protected table, so a rollback that tried would fail in its turn.
fn left(resource: Value) -> Value {
    staying(resource, "Retain")
}

fn staying(mut resource: Value, policy: &str) -> Value {
    resource["DeletionPolicy"] = json!(policy);
    resource["UpdateReplacePolicy"] = json!("Retain");
    resource
}

pub fn keys() -> Vec<Resource> {
    let made_for = [
        (CREDENTIALS_KEY, "CredentialsAlias", "credentials", "customers' database credentials"),
        (ANSWERS_KEY, "AnswersAlias", "idempotent_answer", "answers that are kept for repetitions"),
    ];
    let mut resources = Vec::new();
    for (id, alias_id, purpose, what) in made_for {
        resources.extend(named(id, alias_id, &purpose.replace('_', "-"), key(purpose, what)));
    }
    resources.extend(named(CHECKPOINTS_KEY, "CheckpointsAlias", "checkpoints", signing_key()));
    resources
}

/// A key that stays, and its alias, whose id is not made from the key's: it is led over to a new one.
fn named(id: &str, alias_id: &str, alias: &str, key: Value) -> [Resource; 2] {
    let alias = json!({
        "Type": "AWS::KMS::Alias",
        "Properties": {
            "AliasName": sub(&format!("alias/${{AWS::StackName}}-{alias}")),
            "TargetKeyId": reference(id),
        },
    });
    [(id.to_owned(), kept(key)), (alias_id.to_owned(), alias)]
}

/// Asymmetric keys are not rotated by KMS, and whoever keeps a checkpoint knows this key by its public half.
fn signing_key() -> Value {
    json!({
        "Type": "AWS::KMS::Key",
        "Properties": {
            "Description": sub("${AWS::StackName}: signs checkpoints of the log"),
            "KeySpec": "ECC_NIST_EDWARDS25519",
            "KeyUsage": "SIGN_VERIFY",
            "PendingWindowInDays": 30,
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    administer(),
                    {
                        "Sid": "Sign",
                        "Effect": "Allow",
                        "Principal": account(),
                        "Action": ["kms:Sign", "kms:Verify"],
                        "Resource": "*",
                        "Condition": { "StringEquals": { "kms:SigningAlgorithm": SIGNING_ALGORITHM } },
                    },
                    {
                        "Sid": "ShowThePublicHalf",
                        "Effect": "Allow",
                        "Principal": account(),
                        "Action": "kms:GetPublicKey",
                        "Resource": "*",
                    },
                ],
            },
        },
    })
}

fn account() -> Value {
    json!({ "AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root") })
}

fn administer() -> Value {
    json!({
        "Sid": "Administer",
        "Effect": "Allow",
        "Principal": account(),
        "Action": [
            "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias",
            "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey",
            "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
            "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations",
            "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:RetireGrant", "kms:RevokeGrant",
            "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource",
            "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ],
        "Resource": "*",
    })
}

/// Whoever administers the key cannot use it, and whoever uses it must say what for. Which roles do is theirs to say.
fn key(purpose: &str, what: &str) -> Value {
    let account = account();
    json!({
        "Type": "AWS::KMS::Key",
        "Properties": {
            "Description": sub(&format!("${{AWS::StackName}}: wraps the data keys of {what}")),
            "EnableKeyRotation": true,
            "PendingWindowInDays": 30,
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    administer(),
                    {
                        "Sid": "UseForItsPurpose",
                        "Effect": "Allow",
                        "Principal": account,
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                        "Resource": "*",
                        "Condition": { "StringEquals": { "kms:EncryptionContext:purpose": purpose } },
                    },
                    {
                        "Sid": "SeeWhichMaterialIsCurrent",
                        "Effect": "Allow",
                        "Principal": account,
                        "Action": "kms:GenerateDataKeyWithoutPlaintext",
                        "Resource": "*",
                    },
                ],
            },
        },
    })
}

pub fn secrets() -> Vec<Resource> {
    let made = [
        (PEPPER, "api-key-pepper", "Pepper of the hashes of API keys; rotate it as docs/deploy.md says"),
        (SIGNING_KEYS, "signing-keys", "Keyed hashes of cursors and repeated requests; never to be changed"),
    ];
    let secret = |(id, name, what): (&str, &str, &str)| {
        let properties = json!({
            "Name": sub(&format!("${{AWS::StackName}}/{name}")),
            "Description": what,
            "GenerateSecretString": { "PasswordLength": 64, "ExcludePunctuation": true },
        });
        (id.to_owned(), kept(json!({ "Type": "AWS::SecretsManager::Secret", "Properties": properties })))
    };
    made.into_iter().map(secret).collect()
}

/// Objects are named by their content and never change; earlier versions are only there for mistakes of people.
pub fn bucket() -> Vec<Resource> {
    let bucket = json!({
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "BucketEncryption": { "ServerSideEncryptionConfiguration": [
                { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } },
            ]},
            "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true, "BlockPublicPolicy": true,
                "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
            },
            "VersioningConfiguration": { "Status": "Enabled" },
            "LifecycleConfiguration": { "Rules": [
                {
                    "Id": "mistakes-are-mended-within-a-month",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 },
                    "NoncurrentVersionExpiration": { "NoncurrentDays": 30 },
                },
                // They are folded again when somebody asks; those of earlier releases nobody asks for.
                {
                    "Id": "states-of-the-past-are-a-cache",
                    "Status": "Enabled",
                    "Prefix": PREFIX,
                    "ExpirationInDays": 180,
                },
            ]},
        },
    });
    let policy = json!({
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": reference(BUCKET),
            "PolicyDocument": { "Version": "2012-10-17", "Statement": [{
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [attribute(BUCKET, "Arn"), sub(&format!("${{{BUCKET}.Arn}}/*"))],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            }]},
        },
    });
    vec![(BUCKET.to_owned(), kept(bucket)), (format!("{BUCKET}Policy"), policy)]
}
