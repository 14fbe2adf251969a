//! What wakes a person. docs/deploy.md says for each alarm what to do.

use super::functions::full_name;
use super::{Resource, attribute, data, feed, gateway, pascal, reference, sub};
use crate::endpoints;
use crate::lambda::metrics;
use crate::reactions::{self, Change, Reaction, Trigger, catch_up, doubts, reencrypt, sweep};
use infra::storage::dynamodb::tables::TableName;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TOPIC: &str = "AlarmTopic";
/// The condition that somebody is to be told by e-mail.
pub const HAS_EMAIL: &str = "HasEmail";
/// Metrics that one alarm may add up.
const METRICS_MAX: usize = 10;

/// A single metric that is above its threshold in each of `periods` periods in a row.
struct Alarm {
    what: &'static str,
    namespace: &'static str,
    metric: &'static str,
    dimensions: Value,
    statistic: &'static str,
    /// Alarms at this and above.
    at: u32,
    seconds: u32,
    periods: u32,
}

pub fn resources() -> Vec<Resource> {
    let topic = json!({
        "Type": "AWS::SNS::Topic",
        "Properties": { "TopicName": sub("${AWS::StackName}-alarms") },
    });
    let subscription = json!({
        "Type": "AWS::SNS::Subscription",
        "Condition": HAS_EMAIL,
        "Properties": { "TopicArn": reference(TOPIC), "Protocol": "email", "Endpoint": reference("AlarmEmail") },
    });
    let mut resources = vec![(TOPIC.to_owned(), topic), (format!("{TOPIC}Subscription"), subscription)];
    resources.extend(of_functions());
    resources.extend(singles().into_iter().map(|(id, alarm)| (format!("{id}Alarm"), alarm.resource())));
    resources
}

/// Errors and throttles of functions of one resource together: what to do is the same, and an alarm costs money.
fn of_functions() -> Vec<Resource> {
    let names = endpoints::ALL.iter().map(|it| it.name).chain(reactions::ALL.iter().map(|it| it.name));
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        groups.entry(name.split('-').next().unwrap_or(name)).or_default().push(name);
    }
    let mut resources = Vec::new();
    for (group, names) in groups {
        for (at, names) in names.chunks(METRICS_MAX).enumerate() {
            for metric in ["Errors", "Throttles"] {
                let number = if at == 0 { String::new() } else { (at + 1).to_string() };
                let id = format!("{}{number}{metric}Alarm", pascal(group));
                resources.push((id, sum(metric, names)));
            }
        }
    }
    resources
}

fn sum(metric: &str, functions: &[&str]) -> Value {
    let metric_of = |(at, name): (usize, &&str)| {
        json!({
            "Id": format!("m{at}"),
            "ReturnData": false,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [{ "Name": "FunctionName", "Value": full_name(name) }],
                },
                "Period": 300,
                "Stat": "Sum",
            },
        })
    };
    let mut metrics: Vec<Value> = functions.iter().enumerate().map(metric_of).collect();
    // A function that did not run has no data, which would make the sum none.
    let total = json!({ "Id": "total", "Expression": "SUM(FILL(METRICS(), 0))", "Label": metric });
    metrics.insert(0, total);
    json!({
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": format!("{metric} of {}", functions.join(", ")),
            "AlarmActions": [reference(TOPIC)],
            "OKActions": [reference(TOPIC)],
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "TreatMissingData": "notBreaching",
            "Metrics": metrics,
        },
    })
}

fn dimension(name: &str, value: Value) -> Value {
    json!([{ "Name": name, "Value": value }])
}

fn singles() -> Vec<(String, Alarm)> {
    let of_function = |name: &str| dimension("FunctionName", full_name(name));
    let mut alarms = vec![
        (
            "CallLatency".to_owned(),
            Alarm {
                what: "One live call in a hundred takes 1.5 s or more: a caller hears silence",
                namespace: "AWS/Lambda",
                metric: "Duration",
                dimensions: of_function("skills-call"),
                statistic: "p99",
                at: 1500,
                seconds: 300,
                periods: 3,
            },
        ),
        (
            "ApiFailures".to_owned(),
            Alarm {
                what: "The API answers 5xx: the store, the key service or a function is failing",
                namespace: "AWS/ApiGateway",
                metric: "5xx",
                dimensions: dimension("ApiId", reference(gateway::API)),
                statistic: "Sum",
                at: 5,
                seconds: 60,
                periods: 3,
            },
        ),
        (
            "DoorbellPipeFailures".to_owned(),
            Alarm {
                what: "Doorbells do not reach their queue: views lag until the sweeper comes by",
                namespace: "AWS/EventBridge/Pipes",
                metric: "ExecutionFailed",
                dimensions: dimension("PipeName", reference(feed::PIPE)),
                statistic: "Sum",
                at: 1,
                seconds: 300,
                periods: 1,
            },
        ),
        (
            "ProjectorLag".to_owned(),
            Alarm {
                what: "A doorbell has waited for two minutes: the projector fails or does not keep up",
                namespace: "AWS/SQS",
                metric: "ApproximateAgeOfOldestMessage",
                dimensions: dimension("QueueName", attribute(feed::DOORBELLS, "QueueName")),
                statistic: "Maximum",
                at: 120,
                seconds: 60,
                periods: 3,
            },
        ),
    ];
    alarms.extend(counted_by_functions());
    for (queue, what) in [
        (feed::DEAD_DOORBELLS, "The projector gave up on an organization's doorbell"),
        (feed::DEAD_RECORDS, "A stream's record could not be worked on, and was put aside"),
    ] {
        alarms.push((
            queue.to_owned(),
            Alarm {
                what,
                namespace: "AWS/SQS",
                metric: "ApproximateNumberOfMessagesVisible",
                dimensions: dimension("QueueName", attribute(queue, "QueueName")),
                statistic: "Maximum",
                at: 1,
                seconds: 60,
                periods: 1,
            },
        ));
    }
    for table in [TableName::Commits, TableName::Heads] {
        for (metric, which) in [("ReadThrottleEvents", "Reads"), ("WriteThrottleEvents", "Writes")] {
            alarms.push((
                format!("{}{which}Throttled", pascal(table.as_str())),
                Alarm {
                    what: "DynamoDB throttles the log: one organization is above what its partition bears",
                    namespace: "AWS/DynamoDB",
                    metric,
                    dimensions: dimension("TableName", reference(&data::table(table))),
                    statistic: "Sum",
                    at: 10,
                    seconds: 60,
                    periods: 3,
                },
            ));
        }
    }
    for reaction in reactions::ALL {
        alarms.extend(of_trigger(reaction, of_function(reaction.name)));
    }
    alarms
}

/// The functions count these themselves, in lines that CloudWatch takes for metrics. Stages of one account share the
/// namespace, so the deployment tells whose they are.
fn counted_by_functions() -> Vec<(String, Alarm)> {
    let counted = |metric: &'static str, by: &Reaction, what: &'static str, periods: u32| {
        let of = |name: &&str| {
            let value =
                if *name == metrics::DEPLOYMENT { reference("AWS::StackName") } else { json!(by.name) };
            json!({ "Name": name, "Value": value })
        };
        Alarm {
            what,
            namespace: metrics::NAMESPACE,
            metric,
            dimensions: metrics::BY_ENDPOINT.iter().map(of).collect(),
            statistic: "Maximum",
            at: 1,
            seconds: 300,
            periods,
        }
    };
    let behind = "The sweeper finds views behind again and again: doorbells are lost";
    let late = "Events reach the bus by the sweeper again and again: records are lost, or the bus refuses";
    let doubt = "A write was cut off with its function, and a person has to look whether it happened";
    let refused = "Sealed credentials do not open under any key that the stack may use";
    [
        ("ViewsLate", counted("OrganizationsLate", &sweep::REACTION, behind, 3)),
        ("EventsLate", counted("EventsPublishedLate", &catch_up::REACTION, late, 3)),
        ("WritesInDoubt", counted("WritesInDoubt", &doubts::REACTION, doubt, 1)),
        ("CredentialsRefused", counted("CredentialsRefused", &reencrypt::REACTION, refused, 1)),
    ]
    .map(|(id, alarm)| (id.to_owned(), alarm))
    .into()
}

fn of_trigger(reaction: &Reaction, of_function: Value) -> Vec<(String, Alarm)> {
    let Trigger::Stream { table, changes, .. } = reaction.woken_by else { return Vec::new() };
    let behind = Alarm {
        what: "A stream's records wait for a minute and more: its function fails or does not keep up",
        namespace: "AWS/Lambda",
        metric: "IteratorAge",
        dimensions: of_function.clone(),
        statistic: "Maximum",
        at: 60_000,
        seconds: 60,
        periods: 5,
    };
    let mut alarms = vec![(format!("{}Behind", pascal(reaction.name)), behind)];
    if table == TableName::Commits && !changes.contains(&Change::Insert) {
        // Nothing but changes of what never changes wakes it, so that it ran at all is the finding.
        alarms.push((
            "LogTampered".to_owned(),
            Alarm {
                what: "A commit of the log was changed or removed, which no function of this stack does",
                namespace: "AWS/Lambda",
                metric: "Invocations",
                dimensions: of_function,
                statistic: "Sum",
                at: 1,
                seconds: 60,
                periods: 1,
            },
        ));
    }
    alarms
}

impl Alarm {
    fn resource(self) -> Value {
        let is_percentile = self.statistic.starts_with('p');
        let statistic = if is_percentile { "ExtendedStatistic" } else { "Statistic" };
        json!({
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": self.what,
                "AlarmActions": [reference(TOPIC)],
                "OKActions": [reference(TOPIC)],
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "EvaluationPeriods": self.periods,
                "Threshold": self.at,
                "TreatMissingData": "notBreaching",
                "Namespace": self.namespace,
                "MetricName": self.metric,
                "Dimensions": self.dimensions,
                statistic: self.statistic,
                "Period": self.seconds,
            },
        })
    }
}
