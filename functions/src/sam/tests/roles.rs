//! Roles, as sets of `action resource`.

use super::super::{pascal, template};
use super::of_type;
use crate::endpoint::Grant;
use crate::endpoints;
use crate::reactions::{self, Trigger};
use infra::storage::dynamodb::tables::TableName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const LOG: [&str; 3] = ["CommitsTable.Arn", "HeadsTable.Arn", "ViewsTable.Arn"];

/// What a grant means.
fn meant(grant: Grant) -> &'static [&'static str] {
    match grant {
        Grant::Append => &["dynamodb:PutItem CommitsTable.Arn", "dynamodb:PutItem HeadsTable.Arn"],
        Grant::ReadArtefacts => &[
            "dynamodb:GetItem ArtefactsTable.Arn",
            "s3:GetObject ${ArtefactsBucket.Arn}/*",
            "s3:ListBucket ArtefactsBucket.Arn",
        ],
        Grant::WriteArtefacts => {
            &["dynamodb:PutItem ArtefactsTable.Arn", "s3:PutObject ${ArtefactsBucket.Arn}/*"]
        }
        Grant::KeepPast => &[
            "s3:GetObject ${ArtefactsBucket.Arn}/!past/*",
            "s3:ListBucket ArtefactsBucket.Arn",
            "s3:PutObject ${ArtefactsBucket.Arn}/!past/*",
        ],
        Grant::SealCredentials => &[
            "dynamodb:PutItem CredentialsTable.Arn",
            "kms:GenerateDataKey CredentialsKey.Arn for credentials",
        ],
        Grant::OpenCredentials => &[
            "dynamodb:GetItem CredentialsTable.Arn",
            "kms:Decrypt CredentialsKey.Arn for credentials",
            "kms:Decrypt FormerCredentialsKeyArn for credentials",
        ],
        Grant::ShredCredentials => {
            &["dynamodb:DeleteItem CredentialsTable.Arn", "dynamodb:Query CredentialsTable.Arn"]
        }
        Grant::KeepAnswers => &[
            "dynamodb:DeleteItem AnswersTable.Arn",
            "dynamodb:GetItem AnswersTable.Arn",
            "dynamodb:PutItem AnswersTable.Arn",
            "dynamodb:Query AnswersTable.Arn",
            "dynamodb:UpdateItem AnswersTable.Arn",
            "kms:Decrypt AnswersKey.Arn for idempotent_answer",
            "kms:GenerateDataKey AnswersKey.Arn for idempotent_answer",
        ],
        Grant::Discoveries => &[
            "dynamodb:GetItem DiscoveriesTable.Arn",
            "dynamodb:PutItem DiscoveriesTable.Arn",
            "dynamodb:UpdateItem DiscoveriesTable.Arn",
        ],
        Grant::ReadDeliveries => {
            &["dynamodb:GetItem DeliveriesTable.Arn", "dynamodb:Query DeliveriesTable.Arn"]
        }
        Grant::WriteDeliveries => {
            &["dynamodb:BatchWriteItem DeliveriesTable.Arn", "dynamodb:PutItem DeliveriesTable.Arn"]
        }
        Grant::PublishEvents => &["events:PutEvents EventBus.Arn"],
        Grant::ReadCalls => &["dynamodb:GetItem CallsTable.Arn", "dynamodb:Query CallsTable.Arn"],
        Grant::KeepCalls => &["dynamodb:BatchWriteItem CallsTable.Arn", "dynamodb:PutItem CallsTable.Arn"],
        Grant::ReadNames => &["dynamodb:Query DirectoryTable.Arn"],
        Grant::WriteNames => {
            &["dynamodb:DeleteItem DirectoryTable.Arn", "dynamodb:PutItem DirectoryTable.Arn"]
        }
        Grant::SignCheckpoints => {
            &["kms:GetPublicKey CheckpointsKey.Arn", "kms:Sign CheckpointsKey.Arn for ED25519_SHA_512"]
        }
        Grant::Dial => &[
            "ec2:AssignPrivateIpAddresses *",
            "ec2:CreateNetworkInterface *",
            "ec2:DeleteNetworkInterface *",
            "ec2:DescribeNetworkInterfaces *",
            "ec2:DescribeSubnets *",
            "ec2:UnassignPrivateIpAddresses *",
        ],
        Grant::AskAssistant => &[
            "bedrock:InvokeModel arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:inference-profile/*",
            "bedrock:InvokeModel arn:${AWS::Partition}:bedrock:*::foundation-model/*",
            "secretsmanager:GetSecretValue AssistantKeySecretArn",
        ],
        Grant::ReencryptCredentials => &[
            "dynamodb:Scan CredentialsTable.Arn",
            "dynamodb:UpdateItem CredentialsTable.Arn",
            "kms:GenerateDataKeyWithoutPlaintext CredentialsKey.Arn",
            "kms:ReEncryptFrom CredentialsKey.Arn for credentials",
            "kms:ReEncryptFrom FormerCredentialsKeyArn for credentials",
            "kms:ReEncryptTo CredentialsKey.Arn for credentials",
        ],
        Grant::Project => &[
            "dynamodb:ConditionCheckItem ViewsTable.Arn",
            "dynamodb:DeleteItem ViewsTable.Arn",
            "dynamodb:PutItem ViewsTable.Arn",
        ],
        Grant::SeeAllOrganizations => &["dynamodb:Query ${AnswersTable.Arn}/index/running"],
    }
}

/// What the platform does in a function's name to wake it.
fn taken(trigger: Trigger) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let stream = |table: &str| {
        let read = ["DescribeStream", "GetRecords", "GetShardIterator"];
        let mut stream: Vec<String> =
            read.iter().map(|action| format!("dynamodb:{action} {table}.StreamArn")).collect();
        stream
            .extend(["dynamodb:ListStreams *".to_owned(), "sqs:SendMessage DeadRecordQueue.Arn".to_owned()]);
        stream
    };
    match trigger {
        Trigger::Doorbells { .. } => texts(&[
            "sqs:ChangeMessageVisibility DoorbellQueue.Arn",
            "sqs:DeleteMessage DoorbellQueue.Arn",
            "sqs:GetQueueAttributes DoorbellQueue.Arn",
            "sqs:ReceiveMessage DoorbellQueue.Arn",
        ]),
        Trigger::Stream { table, .. } => stream(&format!("{}Table", pascal(table.as_str()))),
        Trigger::Schedule { .. } | Trigger::Operator => Vec::new(),
    }
}

/// By function name: its grants and what it takes.
fn declared() -> BTreeMap<&'static str, (&'static [Grant], Vec<String>)> {
    let endpoints = endpoints::ALL.iter().map(|it| (it.name, (it.function.grants, Vec::new())));
    let reactions = reactions::ALL.iter().map(|it| (it.name, (it.function.grants, taken(it.woken_by))));
    endpoints.chain(reactions).collect()
}

/// A list, or one thing that stands for a list of one.
fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn written(resource: &Value) -> String {
    if let Some(path) = resource["Fn::GetAtt"].as_array() {
        return path.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(".");
    }
    let one_of = [resource, &resource["Ref"], &resource["Fn::Sub"]];
    one_of.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("{resource}")).to_owned()
}

/// All that a role allows; under a condition counts as allowed.
fn allowed(role: &Value) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for policy in each(&role["Policies"]) {
        for statement in each(&policy["PolicyDocument"]["Statement"]) {
            let statement = statement["Fn::If"].get(1).unwrap_or(statement);
            assert_eq!(statement["Effect"], "Allow");
            let condition = &statement["Condition"]["StringEquals"];
            let purpose = ["kms:EncryptionContext:purpose", "kms:SigningAlgorithm"]
                .into_iter()
                .find_map(|name| condition[name].as_str());
            let purpose = purpose.map(|purpose| format!(" for {purpose}")).unwrap_or_default();
            for action in each(&statement["Action"]) {
                for resource in each(&statement["Resource"]) {
                    let action = action.as_str().expect("an action");
                    allowed.insert(format!("{action} {}{purpose}", written(resource)));
                }
            }
        }
    }
    allowed
}

/// By function name.
fn roles() -> BTreeMap<String, BTreeSet<String>> {
    let document = template().document();
    let functions = of_type(&document, "AWS::Serverless::Function");
    let role_of = |(_, function): (&str, &Value)| {
        let role = function["Role"]["Fn::GetAtt"][0].as_str().expect("a role of the template");
        let name = function["Handler"].as_str().expect("a name").to_owned();
        assert!(function["Policies"].is_null(), "{name}: the transform would add to its role");
        (name, allowed(&document["Resources"][role]["Properties"]))
    };
    functions.map(role_of).collect()
}

#[test]
fn every_role_allows_exactly_what_its_functions_grants_mean() {
    let declared = declared();
    let roles = roles();
    assert_eq!(roles.len(), declared.len());
    for (name, (grants, taken)) in declared {
        let mut expected: BTreeSet<String> = taken.into_iter().collect();
        for table in LOG {
            expected.extend(["GetItem", "Query"].map(|action| format!("dynamodb:{action} {table}")));
        }
        for secret in ["ApiKeyPepper", "SigningKeys"] {
            expected.insert(format!("secretsmanager:GetSecretValue {secret}"));
        }
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            expected.insert(format!("{action} {}Logs.Arn", pascal(name)));
        }
        for action in ["xray:PutTelemetryRecords", "xray:PutTraceSegments"] {
            expected.insert(format!("{action} *"));
        }
        expected.extend(grants.iter().flat_map(|grant| meant(*grant)).map(|text| (*text).to_owned()));
        assert_eq!(roles[name], expected, "{name}");
    }
}

#[test]
fn no_two_functions_share_a_role() {
    let document = template().document();
    let mut seen = BTreeSet::new();
    for (id, function) in of_type(&document, "AWS::Serverless::Function") {
        assert!(seen.insert(function["Role"].to_string()), "{id}");
    }
}

#[test]
fn no_role_may_update_or_delete_a_commit() {
    let harmless = ["ConditionCheckItem", "GetItem", "PutItem", "Query"].map(|it| format!("dynamodb:{it}"));
    let of_stream = ["DescribeStream", "GetRecords", "GetShardIterator"].map(|it| format!("dynamodb:{it}"));
    for (name, allowed) in roles() {
        for (action, resource) in allowed.iter().filter_map(|it| it.split_once(' ')) {
            match resource {
                "CommitsTable.Arn" => assert!(harmless.contains(&action.to_owned()), "{name}: {action}"),
                "CommitsTable.StreamArn" => {
                    assert!(of_stream.contains(&action.to_owned()), "{name}: {action}")
                }
                other => assert!(!other.contains("Commits"), "{name}: {action} {other}"),
            }
        }
    }
}

#[test]
fn only_functions_that_dial_open_credentials_and_only_those_that_were_granted_it() {
    let roles = roles();
    for (name, (grants, _)) in declared() {
        let decrypts = roles[name].iter().any(|it| it.starts_with("kms:Decrypt CredentialsKey"));
        assert_eq!(decrypts, grants.contains(&Grant::OpenCredentials), "{name}");
        assert!(
            !decrypts || grants.contains(&Grant::Dial),
            "{name}: the admin plane may encrypt and never decrypt"
        );
    }
    assert!(roles.values().flatten().any(|it| it.starts_with("kms:Decrypt CredentialsKey")));
}

#[test]
fn without_a_former_key_no_role_names_one() {
    let document = template().document();
    assert_eq!(document["Parameters"]["FormerCredentialsKeyArn"]["Default"], "");
    let mut conditional = 0;
    for (id, role) in of_type(&document, "AWS::IAM::Role") {
        for policy in each(&role["Policies"]) {
            for statement in each(&policy["PolicyDocument"]["Statement"]) {
                assert_ne!(statement["Resource"]["Ref"], "FormerCredentialsKeyArn", "{id}");
                if statement["Fn::If"][1]["Resource"]["Ref"] == "FormerCredentialsKeyArn" {
                    assert_eq!(statement["Fn::If"][0], "HasFormerCredentialsKey", "{id}");
                    conditional += 1;
                }
            }
        }
    }
    assert!(conditional > 1, "who opens credentials, and who moves them");
}

#[test]
fn a_role_names_each_action_and_each_resource_that_has_a_name() {
    // These know no narrower resource.
    let nameless = ["dynamodb:ListStreams", "xray:PutTelemetryRecords", "xray:PutTraceSegments"];
    let document = template().document();
    for (id, role) in of_type(&document, "AWS::IAM::Role") {
        assert!(role["ManagedPolicyArns"].is_null(), "{id}");
        for (action, resource) in allowed(role).iter().filter_map(|it| it.split_once(' ')) {
            assert!(!action.contains('*'), "{id}: {action}");
            let may_be_any = nameless.contains(&action) || action.starts_with("ec2:");
            assert!(resource != "*" || may_be_any, "{id}: {action} on everything");
        }
    }
}

#[test]
fn a_key_serves_its_own_purpose_and_its_administrators_cannot_use_it() {
    let document = template().document();
    let mut purposes = BTreeSet::new();
    for (id, key) in of_type(&document, "AWS::KMS::Key") {
        // KMS rotates no key whose public half others keep.
        let signs = key["KeyUsage"] == "SIGN_VERIFY";
        assert_eq!(key["EnableKeyRotation"] == true, !signs, "{id}");
        for statement in each(&key["KeyPolicy"]["Statement"]) {
            let algorithm = &statement["Condition"]["StringEquals"]["kms:SigningAlgorithm"];
            let purpose = &statement["Condition"]["StringEquals"]["kms:EncryptionContext:purpose"];
            purposes.extend(purpose.as_str().map(str::to_owned));
            for action in each(&statement["Action"]).iter().filter_map(|it| it.as_str()) {
                assert!(!action.contains('*'), "{id}: {action}");
                let yields_plaintext =
                    ["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant"]
                        .contains(&action);
                assert!(!yields_plaintext || purpose.is_string(), "{id}: {action} for any purpose");
                assert!(action != "kms:Sign" || algorithm.is_string(), "{id}: {action} with any algorithm");
            }
        }
    }
    assert_eq!(purposes, ["credentials", "idempotent_answer"].map(str::to_owned).into());
}

#[test]
fn the_doorbell_hears_heads_only() {
    let document = template().document();
    let pipes: Vec<&Value> = of_type(&document, "AWS::Pipes::Pipe").map(|(_, pipe)| pipe).collect();
    let [pipe] = pipes.as_slice() else { panic!("one pipe, and not {}", pipes.len()) };
    let pattern =
        pipe["SourceParameters"]["FilterCriteria"]["Filters"][0]["Pattern"].as_str().expect("a filter");
    let pattern: Value = serde_json::from_str(pattern).expect("JSON");
    assert_eq!(pattern["dynamodb"]["Keys"]["item"]["S"], serde_json::json!(["HEAD"]));
    let heads = format!("{}Table", pascal(TableName::Heads.as_str()));
    assert_eq!(pipe["Source"]["Fn::GetAtt"], serde_json::json!([heads, "StreamArn"]));
    let queue = &pipe["TargetParameters"]["SqsQueueParameters"];
    assert_eq!(queue["MessageGroupId"], "$.dynamodb.Keys.organization.S");
}
