//! What a role may do: what its trigger takes, what every function needs, and its grants; nothing else.

use super::data::{
    ANSWERS_KEY, BUCKET, CHECKPOINTS_KEY, CREDENTIALS_KEY, PEPPER, SIGNING_ALGORITHM, SIGNING_KEYS, table,
};
use super::feed::EVENT_BUS;
use super::{attribute, none_unless, reference, sub};
use crate::endpoint::Grant;
use infra::storage::dynamodb::past::PREFIX;
use infra::storage::dynamodb::tables::{RUNNING, TableName};
use serde_json::{Value, json};

/// The parameter with the key that credentials are moved away from.
pub const FORMER_KEY: &str = "FormerCredentialsKeyArn";
/// The condition that it was given.
pub const HAS_FORMER_KEY: &str = "HasFormerCredentialsKey";

pub fn allow(sid: &str, actions: &[&str], resource: Value) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource })
}

/// The log and its views, for whoever loads an organization's state; with the keys that API keys are checked with.
pub fn every_function() -> Vec<Value> {
    let log = [TableName::Commits, TableName::Heads, TableName::Views].map(arn);
    vec![
        allow("ReadTheLog", &["dynamodb:GetItem", "dynamodb:Query"], json!(log)),
        allow(
            "KnowTheServicesKeys",
            &["secretsmanager:GetSecretValue"],
            json!([reference(PEPPER), reference(SIGNING_KEYS)]),
        ),
    ]
}

/// The platform's own part: lines into the function's log group, and traces. X-Ray knows no narrower resource.
pub fn platform(log_group: &str) -> Vec<Value> {
    vec![
        allow("WriteItsLog", &["logs:CreateLogStream", "logs:PutLogEvents"], attribute(log_group, "Arn")),
        allow("Trace", &["xray:PutTelemetryRecords", "xray:PutTraceSegments"], json!("*")),
    ]
}

/// To the log there are puts only: no role may update or delete its items. That a put replaces none is for the code's
/// condition to refuse and for `log-watch` to see: IAM knows no put of new items only. A transaction is judged by the
/// actions of its items.
pub fn grant(grant: Grant) -> Vec<Value> {
    match grant {
        Grant::Append => vec![allow(
            "Append",
            &["dynamodb:PutItem"],
            json!([arn(TableName::Commits), arn(TableName::Heads)]),
        )],
        Grant::ReadArtefacts => vec![
            allow("ReadArtefacts", &["dynamodb:GetItem"], arn(TableName::Artefacts)),
            allow("ReadLargeArtefacts", &["s3:GetObject"], objects()),
            // Without it S3 says of an object that is missing that it is forbidden, and nobody learns that it is gone.
            allow("MissArtefacts", &["s3:ListBucket"], bucket()),
        ],
        Grant::WriteArtefacts => vec![
            allow("WriteArtefacts", &["dynamodb:PutItem"], arn(TableName::Artefacts)),
            allow("WriteLargeArtefacts", &["s3:PutObject"], objects()),
        ],
        Grant::KeepPast => vec![
            allow(
                "KeepPastStates",
                &["s3:GetObject", "s3:PutObject"],
                sub(&format!("${{{BUCKET}.Arn}}/{PREFIX}*")),
            ),
            // The nearest one is found by listing.
            allow("FindPastStates", &["s3:ListBucket"], bucket()),
        ],
        Grant::SealCredentials => vec![
            allow("PutCredentials", &["dynamodb:PutItem"], arn(TableName::Credentials)),
            with_key("SealCredentials", &["kms:GenerateDataKey"], CREDENTIALS_KEY, "credentials"),
        ],
        Grant::OpenCredentials => vec![
            allow("GetCredentials", &["dynamodb:GetItem"], arn(TableName::Credentials)),
            with_key("OpenCredentials", &["kms:Decrypt"], CREDENTIALS_KEY, "credentials"),
            with_former_key("OpenFormerCredentials", "kms:Decrypt"),
        ],
        Grant::ShredCredentials => vec![allow(
            "ShredCredentials",
            &["dynamodb:DeleteItem", "dynamodb:Query"],
            arn(TableName::Credentials),
        )],
        Grant::KeepAnswers => vec![
            allow(
                "KeepAnswers",
                &[
                    "dynamodb:DeleteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                arn(TableName::Answers),
            ),
            with_key(
                "SealAnswers",
                &["kms:Decrypt", "kms:GenerateDataKey"],
                ANSWERS_KEY,
                "idempotent_answer",
            ),
        ],
        Grant::Discoveries => vec![allow(
            "AskForDiscoveries",
            &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            arn(TableName::Discoveries),
        )],
        Grant::ReadDeliveries => {
            vec![allow("ReadDeliveries", &["dynamodb:GetItem", "dynamodb:Query"], arn(TableName::Deliveries))]
        }
        Grant::WriteDeliveries => vec![allow(
            "WriteDeliveries",
            &["dynamodb:BatchWriteItem", "dynamodb:PutItem"],
            arn(TableName::Deliveries),
        )],
        Grant::PublishEvents => {
            vec![allow("PublishEvents", &["events:PutEvents"], attribute(EVENT_BUS, "Arn"))]
        }
        Grant::ReadCalls => {
            vec![allow("ReadCalls", &["dynamodb:GetItem", "dynamodb:Query"], arn(TableName::Calls))]
        }
        Grant::KeepCalls => {
            vec![allow("KeepCalls", &["dynamodb:BatchWriteItem", "dynamodb:PutItem"], arn(TableName::Calls))]
        }
        Grant::ReadNames => vec![allow("ReadNames", &["dynamodb:Query"], arn(TableName::Directory))],
        Grant::WriteNames => {
            vec![allow("WriteNames", &["dynamodb:DeleteItem", "dynamodb:PutItem"], arn(TableName::Directory))]
        }
        Grant::SignCheckpoints => vec![
            under(
                allow("SignCheckpoints", &["kms:Sign"], attribute(CHECKPOINTS_KEY, "Arn")),
                "kms:SigningAlgorithm",
                SIGNING_ALGORITHM,
            ),
            allow("KnowWhoSigns", &["kms:GetPublicKey"], attribute(CHECKPOINTS_KEY, "Arn")),
        ],
        Grant::AskAssistant => super::assistants::may_ask(),
        Grant::Dial => vec![none_unless(
            super::functions::IN_VPC,
            // EC2 creates the interfaces in the function's name and knows no narrower resource for it.
            allow(
                "ReachTheVpc",
                &[
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                json!("*"),
            ),
        )],
        Grant::ReencryptCredentials => vec![
            allow(
                "ReplaceWrappedKeys",
                &["dynamodb:Scan", "dynamodb:UpdateItem"],
                arn(TableName::Credentials),
            ),
            with_key("WrapAnew", &["kms:ReEncryptFrom", "kms:ReEncryptTo"], CREDENTIALS_KEY, "credentials"),
            with_former_key("LeaveTheFormerKey", "kms:ReEncryptFrom"),
            // Its answer names the material; what it makes is thrown away and bound to nothing.
            allow(
                "SeeWhichMaterialIsCurrent",
                &["kms:GenerateDataKeyWithoutPlaintext"],
                attribute(CREDENTIALS_KEY, "Arn"),
            ),
        ],
        Grant::Project => vec![allow(
            "WriteViews",
            &["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem"],
            arn(TableName::Views),
        )],
        // The organizations are listed in a partition of the heads, which everybody may query.
        Grant::SeeAllOrganizations => vec![allow(
            "FindWhatWasLeftRunning",
            &["dynamodb:Query"],
            sub(&format!("${{{}.Arn}}/index/{}", table(TableName::Answers), RUNNING.name)),
        )],
    }
}

fn with_key(sid: &str, actions: &[&str], key: &str, purpose: &str) -> Value {
    only_for(purpose, allow(sid, actions, attribute(key, "Arn")))
}

/// While credentials move to another key they open with the one before, which wraps nothing new.
fn with_former_key(sid: &str, action: &str) -> Value {
    none_unless(HAS_FORMER_KEY, only_for("credentials", allow(sid, &[action], reference(FORMER_KEY))))
}

fn only_for(purpose: &str, statement: Value) -> Value {
    under(statement, "kms:EncryptionContext:purpose", purpose)
}

/// Allowed where the request's `name` is this.
fn under(mut statement: Value, name: &str, is: &str) -> Value {
    statement["Condition"] = json!({ "StringEquals": { name: is } });
    statement
}

fn bucket() -> Value {
    attribute(BUCKET, "Arn")
}

fn objects() -> Value {
    sub(&format!("${{{BUCKET}.Arn}}/*"))
}

fn arn(name: TableName) -> Value {
    attribute(&table(name), "Arn")
}
