//! How functions are woken: the doorbell from a moved head to the projector, the streams of other tables, schedules,
//! and where goes what could not be delivered. Also the bus, by which events wake functions of others.

use super::data::table;
use super::policies::allow;
use super::{Resource, attribute, sub};
use crate::reactions::{self, Change, Trigger};
use infra::storage::dynamodb::tables::{PARTITION, SORT, TableName};
use serde_json::{Value, json};

pub const DOORBELLS: &str = "DoorbellQueue";
pub const DEAD_DOORBELLS: &str = "DeadDoorbellQueue";
pub const DEAD_RECORDS: &str = "DeadRecordQueue";
pub const PIPE: &str = "DoorbellPipe";
/// Carries events to whoever the account lets listen.
pub const EVENT_BUS: &str = "EventBus";

/// Six times what the projector may take, so that a message does not come again while it is worked on.
const VISIBILITY_SECONDS: u32 = 6 * 60;
const TWO_WEEKS_SECONDS: u32 = 14 * 24 * 3600;

/// The queue with what wakes it, and the queues for what failed.
pub fn resources() -> Vec<Resource> {
    let doorbells = reactions::ALL.iter().filter_map(|reaction| match reaction.woken_by {
        Trigger::Doorbells { table, item } => Some(pipe(table, item)),
        Trigger::Stream { .. } | Trigger::Schedule { .. } | Trigger::Operator => None,
    });
    queues().into_iter().chain(doorbells.flatten()).chain([bus()]).collect()
}

/// Without a policy of its own, so that only this account's roles put on it, and only its rules take from it.
fn bus() -> Resource {
    let bus = json!({
        "Type": "AWS::Events::EventBus",
        "Properties": {
            "Name": sub("${AWS::StackName}"),
            "Description": sub("${AWS::StackName}: every event of every organization"),
        },
    });
    (EVENT_BUS.to_owned(), bus)
}

fn queues() -> Vec<Resource> {
    let fifo = |name: &str| {
        json!({
            "QueueName": sub(&format!("${{AWS::StackName}}-{name}.fifo")),
            "FifoQueue": true,
            // The same sequence number rings once for each organization.
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
            "SqsManagedSseEnabled": true,
        })
    };
    let queue = |properties: Value| json!({ "Type": "AWS::SQS::Queue", "Properties": properties });
    let mut doorbells = fifo("doorbells");
    doorbells["VisibilityTimeout"] = json!(VISIBILITY_SECONDS);
    doorbells["RedrivePolicy"] =
        json!({ "deadLetterTargetArn": attribute(DEAD_DOORBELLS, "Arn"), "maxReceiveCount": 5 });
    let mut dead_doorbells = fifo("dead-doorbells");
    dead_doorbells["MessageRetentionPeriod"] = json!(TWO_WEEKS_SECONDS);
    let dead_records = json!({
        "QueueName": sub("${AWS::StackName}-dead-records"),
        "MessageRetentionPeriod": TWO_WEEKS_SECONDS,
        "SqsManagedSseEnabled": true,
    });
    vec![
        (DOORBELLS.to_owned(), queue(doorbells)),
        (DEAD_DOORBELLS.to_owned(), queue(dead_doorbells)),
        (DEAD_RECORDS.to_owned(), queue(dead_records)),
    ]
}

/// Streams order nothing but the changes of one item, and end after a day. So only the head's item is let through, and
/// it says no more than that there is something to pull.
fn pipe(of: TableName, item: &str) -> Vec<Resource> {
    let stream = attribute(&table(of), "StreamArn");
    let organization = format!("$.dynamodb.Keys.{PARTITION}.S");
    let seq = "$.dynamodb.NewImage.seq.N";
    let wanted =
        json!({ "eventName": ["INSERT", "MODIFY"], "dynamodb": { "Keys": { SORT: { "S": [item] } } } });
    let role = format!("{PIPE}Role");
    let mut statements = read_stream(&stream);
    statements.push(allow("Ring", &["sqs:SendMessage"], attribute(DOORBELLS, "Arn")));
    statements.push(allow("KeepWhatFailed", &["sqs:SendMessage"], attribute(DEAD_RECORDS, "Arn")));
    let assumed_by_pipes = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "Service": "pipes.amazonaws.com" },
        "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "aws:SourceAccount": super::reference("AWS::AccountId") } },
    }]});
    let pipe = json!({
        "Type": "AWS::Pipes::Pipe",
        "Properties": {
            "Name": sub("${AWS::StackName}-doorbells"),
            "RoleArn": attribute(&role, "Arn"),
            "Source": stream,
            "SourceParameters": {
                "FilterCriteria": { "Filters": [{ "Pattern": wanted.to_string() }] },
                "DynamoDBStreamParameters": {
                    "StartingPosition": "LATEST",
                    "BatchSize": 10,
                    "MaximumRecordAgeInSeconds": 3600,
                    "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
                    "DeadLetterConfig": { "Arn": attribute(DEAD_RECORDS, "Arn") },
                },
            },
            "Target": attribute(DOORBELLS, "Arn"),
            "TargetParameters": {
                "SqsQueueParameters": { "MessageGroupId": organization, "MessageDeduplicationId": seq },
            },
        },
    });
    let role_resource = json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": assumed_by_pipes,
            "Policies": [{
                "PolicyName": "doorbells",
                "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
            }],
        },
    });
    vec![(PIPE.to_owned(), pipe), (role, role_resource)]
}

/// The event of a function that is woken so, with its name.
pub fn event(trigger: Trigger) -> Option<(&'static str, Value)> {
    let event = match trigger {
        Trigger::Doorbells { .. } => {
            let properties = json!({
                "Queue": attribute(DOORBELLS, "Arn"),
                "BatchSize": 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            });
            ("Doorbells", json!({ "Type": "SQS", "Properties": properties }))
        }
        Trigger::Stream { table, items, changes } => ("Records", records(table, items, changes)),
        Trigger::Schedule { every } => {
            let minutes = every.as_secs() / 60;
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            let rate = format!("rate({minutes} {unit})");
            ("Schedule", json!({ "Type": "Schedule", "Properties": { "Schedule": rate } }))
        }
        Trigger::Operator => return None,
    };
    Some(event)
}

/// Changes in a table, one for each invocation: a discovery takes minutes, and one that fails holds no other up. What
/// a function cannot take goes to a queue that an alarm watches.
fn records(of: TableName, items: &str, changes: &[Change]) -> Value {
    let kinds: Vec<&str> = changes.iter().map(|change| change.as_str()).collect();
    let named = json!({ SORT: { "S": [{ "prefix": items }] } });
    let wanted = json!({ "eventName": kinds, "dynamodb": { "Keys": named } });
    json!({
        "Type": "DynamoDB",
        "Properties": {
            "Stream": attribute(&table(of), "StreamArn"),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 1,
            "ParallelizationFactor": 10,
            "MaximumRetryAttempts": 3,
            "FilterCriteria": { "Filters": [{ "Pattern": wanted.to_string() }] },
            "DestinationConfig": { "OnFailure": { "Type": "SQS", "Destination": attribute(DEAD_RECORDS, "Arn") } },
        },
    })
}

/// What the platform does in the function's name to wake it.
pub fn statements(trigger: Trigger) -> Vec<Value> {
    match trigger {
        Trigger::Doorbells { .. } => vec![allow(
            "TakeDoorbells",
            &[
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
            ],
            attribute(DOORBELLS, "Arn"),
        )],
        Trigger::Stream { table: of, .. } => {
            let mut statements = read_stream(&attribute(&table(of), "StreamArn"));
            statements.push(allow("KeepWhatFailed", &["sqs:SendMessage"], attribute(DEAD_RECORDS, "Arn")));
            statements
        }
        Trigger::Schedule { .. } | Trigger::Operator => Vec::new(),
    }
}

/// Streams can be listed in an account only as a whole.
fn read_stream(stream: &Value) -> Vec<Value> {
    vec![
        allow(
            "ReadTheStream",
            &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            stream.clone(),
        ),
        allow("ListStreams", &["dynamodb:ListStreams"], json!("*")),
    ]
}
