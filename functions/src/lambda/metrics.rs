//! Metrics in CloudWatch's embedded metric format: a log line, so that counting costs a request no call.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Where alarms and dashboards look.
pub const NAMESPACE: &str = "Bindery";

pub const DEPLOYMENT: &str = "deployment";
/// Dimensions of every metric; each is there also by its outcome. Stages in one account share the namespace.
pub const BY_ENDPOINT: [&str; 2] = [DEPLOYMENT, "endpoint"];
const BY_OUTCOME: [&str; 3] = [DEPLOYMENT, "endpoint", "outcome"];

/// One invocation, counted by its endpoint and, apart from that, by how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub endpoint: &'static str,
    /// `2xx`, `4xx` …, or the outcome of a live call.
    pub outcome: String,
    pub duration: Duration,
    pub is_error: bool,
    /// The first of its process.
    pub is_cold: bool,
    /// What the customer's database took of a live call.
    pub database: Option<Duration>,
    /// More that one kind of function counts, by name.
    pub counts: Vec<(&'static str, u64)>,
}

impl Counted {
    /// With its newline. `deployment` is what the names of its tables begin with.
    pub fn line(&self, deployment: &str, now: Timestamp) -> Vec<u8> {
        let mut values = Map::new();
        let mut declared = Vec::new();
        let mut metric = |name: &'static str, unit: &str, value: Value| {
            declared.push(json!({ "Name": name, "Unit": unit }));
            values.insert(name.to_owned(), value);
        };
        metric("DurationMs", "Milliseconds", ms(self.duration).into());
        metric("Errors", "Count", u8::from(self.is_error).into());
        metric("ColdStart", "Count", u8::from(self.is_cold).into());
        if let Some(database) = self.database {
            metric("DatabaseMs", "Milliseconds", ms(database).into());
        }
        for (name, count) in &self.counts {
            metric(name, "Count", (*count).into());
        }
        values.insert(DEPLOYMENT.to_owned(), deployment.into());
        values.insert("endpoint".to_owned(), self.endpoint.into());
        values.insert("outcome".to_owned(), self.outcome.clone().into());
        values.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [BY_ENDPOINT.as_slice(), BY_OUTCOME.as_slice()],
                    "Metrics": declared,
                }],
            }),
        );
        let mut line = Value::Object(values).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Counted {
        Counted {
            endpoint: "skills-call",
            outcome: "not_found".to_owned(),
            duration: Duration::from_micros(12_345),
            is_error: false,
            is_cold: true,
            database: Some(Duration::from_micros(4_200)),
            counts: Vec::new(),
        }
    }

    fn parsed(counted: &Counted) -> Value {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        serde_json::from_slice(&counted.line("bindery-dev", now)).expect("a line is JSON")
    }

    #[test]
    fn a_live_call_is_one_line_in_the_embedded_metric_format() {
        let line = parsed(&counted());
        assert_eq!(line["_aws"]["Timestamp"], 1_795_341_600_000_i64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Bindery");
        assert_eq!(
            directive["Dimensions"],
            json!([["deployment", "endpoint"], ["deployment", "endpoint", "outcome"]])
        );
        assert_eq!(
            line["deployment"], "bindery-dev",
            "an alarm of another stage in the account must not hear it"
        );
        assert_eq!((&line["endpoint"], &line["outcome"]), (&json!("skills-call"), &json!("not_found")));
        assert_eq!((&line["DurationMs"], &line["DatabaseMs"]), (&json!(12.345), &json!(4.2)));
        assert_eq!((&line["Errors"], &line["ColdStart"]), (&json!(0), &json!(1)));
    }

    #[test]
    fn every_declared_metric_has_a_value_and_every_dimension_too() {
        let with = Counted { counts: vec![("LogTampered", 2)], ..counted() };
        for counted in [with, Counted { database: None, ..counted() }] {
            let line = parsed(&counted);
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
            }
            for dimension in directive["Dimensions"][1].as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
            }
        }
    }
}
