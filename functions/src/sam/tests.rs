//! The committed template is that of the lists, and no role may do more than its function's grants mean. What they mean
//! is written down here a second time, by hand: a slip in the generator is then a difference.

mod roles;

use super::{pascal, template};
use crate::config::{DEPLOYMENT_VARIABLES, VARIABLES};
use crate::endpoint::Shape;
use crate::router::BASE;
use crate::{endpoints, reactions};
use infra::storage::dynamodb::tables::{TABLES, TableName};
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");

/// Resources of one type, with their logical ids.
fn of_type<'a>(document: &'a Value, wanted: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = document["Resources"].as_object().expect("resources").iter();
    resources.filter(move |(_, it)| it["Type"] == wanted).map(|(id, it)| (id.as_str(), &it["Properties"]))
}

#[test]
fn the_committed_template_is_that_of_the_endpoint_list() {
    let fresh = template().to_yaml();
    if std::env::var_os("BINDERY_BLESS").is_some() {
        std::fs::write(FILE, &fresh).expect("template.yaml can be written");
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        committed == fresh,
        "template.yaml is stale: run BINDERY_BLESS=1 cargo test -p functions --lib sam, and commit it"
    );
}

#[test]
fn no_two_resources_share_an_id() {
    let count: usize = template().groups.iter().map(|(_, group)| group.len()).sum();
    assert_eq!(template().document()["Resources"].as_object().map(|all| all.len()), Some(count));
}

#[test]
fn every_endpoint_and_every_reaction_is_a_function_whose_handler_is_its_name() {
    let document = template().document();
    let names = endpoints::ALL.iter().map(|it| it.name).chain(reactions::ALL.iter().map(|it| it.name));
    let declared: BTreeSet<&str> = names.collect();
    let handlers: BTreeSet<&str> = of_type(&document, "AWS::Serverless::Function")
        .filter_map(|(_, function)| function["Handler"].as_str())
        .collect();
    assert_eq!(handlers, declared);
}

#[test]
fn an_endpoint_is_reached_by_its_own_route_or_when_it_streams_by_an_address_of_its_own() {
    let document = template().document();
    for endpoint in endpoints::ALL {
        let function = &document["Resources"][pascal(endpoint.name)]["Properties"];
        if endpoint.shape == Shape::Stream {
            assert_eq!(function["FunctionUrlConfig"]["InvokeMode"], "RESPONSE_STREAM", "{}", endpoint.name);
            assert!(function["Events"].is_null(), "{}: the gateway would hold it back", endpoint.name);
            let at_once = &function["ReservedConcurrentExecutions"]["Ref"];
            assert_eq!(at_once, "StreamConcurrency", "{}: streams could take all executions", endpoint.name);
        } else {
            let route = &function["Events"]["Route"]["Properties"];
            assert_eq!(route["Method"], endpoint.method.as_str(), "{}", endpoint.name);
            assert_eq!(route["Path"], format!("{BASE}{}", endpoint.path), "{}", endpoint.name);
            assert!(function["FunctionUrlConfig"].is_null(), "{}", endpoint.name);
        }
    }
}

#[test]
fn a_function_ends_before_the_gateway_stops_waiting_for_it() {
    let document = template().document();
    let behind_the_gateway = of_type(&document, "AWS::Serverless::Function")
        .filter(|(_, function)| function["Events"]["Route"].is_object());
    for (id, function) in behind_the_gateway {
        let gateway_ms = function["Events"]["Route"]["Properties"]["TimeoutInMillis"].as_u64();
        let seconds = function["Timeout"].as_u64().expect("a timeout");
        assert!(gateway_ms.is_some_and(|ms| seconds * 1000 < ms && ms < 30_000), "{id}");
    }
}

#[test]
fn functions_are_told_every_variable_that_they_require_and_none_that_they_do_not_know() {
    let document = template().document();
    let names = |variables: &Value| -> BTreeSet<String> {
        variables.as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    };
    let shared = names(&document["Globals"]["Function"]["Environment"]["Variables"]);
    let required = DEPLOYMENT_VARIABLES.iter().filter(|it| it.default.is_empty());
    for variable in required {
        assert!(shared.contains(variable.name), "{}", variable.name);
    }
    let known: BTreeSet<String> =
        VARIABLES.iter().chain(DEPLOYMENT_VARIABLES).map(|it| it.name.to_owned()).collect();
    for (id, function) in of_type(&document, "AWS::Serverless::Function") {
        let told = names(&function["Environment"]["Variables"]);
        assert!(told.is_subset(&known) && shared.is_subset(&known), "{id}: {told:?}");
    }
}

#[test]
fn the_log_survives_the_stack_and_sealed_credentials_survive_in_no_backup() {
    let document = template().document();
    for table in TABLES {
        let id = format!("{}Table", pascal(table.name.as_str()));
        let resource = &document["Resources"][&id];
        let properties = &resource["Properties"];
        let is_log = matches!(table.name, TableName::Commits | TableName::Heads);
        let is_sealed = matches!(table.name, TableName::Credentials | TableName::Answers);
        let backed_up = &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert!(!is_log || (*backed_up == true && properties["DeletionProtectionEnabled"] == true), "{id}");
        assert!(!is_sealed || *backed_up == false, "{id}: what was shredded could be restored");
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{id}");
        assert!(properties["SSESpecification"].is_null(), "{id}: the log would need KMS, and pay for it");
    }
}

#[test]
fn what_holds_data_outlives_the_stack_but_not_a_first_deployment_that_failed() {
    let document = template().document();
    let holding = ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret"];
    for (id, resource) in document["Resources"].as_object().expect("resources") {
        if !holding.iter().any(|holding| resource["Type"] == *holding) {
            continue;
        }
        // A rollback that tried to delete a protected table would fail.
        let is_protected = resource["Properties"]["DeletionProtectionEnabled"] == true;
        let policy = if is_protected { "Retain" } else { "RetainExceptOnCreate" };
        assert_eq!(resource["DeletionPolicy"], policy, "{id}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{id}");
    }
}

#[test]
fn an_alarm_on_what_functions_count_names_its_deployment() {
    let document = template().document();
    let mut metrics = BTreeSet::new();
    for (id, alarm) in
        of_type(&document, "AWS::CloudWatch::Alarm").filter(|(_, it)| it["Namespace"] == "Bindery")
    {
        let dimensions = alarm["Dimensions"].as_array().expect("dimensions");
        let value = |name: &str| dimensions.iter().find(|it| it["Name"] == name).map(|it| &it["Value"]);
        let names: Vec<&str> = dimensions.iter().filter_map(|it| it["Name"].as_str()).collect();
        assert_eq!(
            names,
            crate::lambda::metrics::BY_ENDPOINT,
            "{id}: CloudWatch finds a metric by all its dimensions"
        );
        assert_eq!(
            value("deployment"),
            Some(&document["Globals"]["Function"]["Environment"]["Variables"]["BINDERY_TABLES"])
        );
        let endpoint = value("endpoint").and_then(Value::as_str).expect("a name");
        assert!(reactions::ALL.iter().any(|it| it.name == endpoint), "{id}: {endpoint}");
        metrics.extend(alarm["MetricName"].as_str());
    }
    assert_eq!(
        metrics,
        ["CredentialsRefused", "EventsPublishedLate", "OrganizationsLate", "WritesInDoubt"].into()
    );
}

#[test]
fn errors_and_throttles_of_every_function_raise_an_alarm() {
    let document = template().document();
    for metric in ["Errors", "Throttles"] {
        let mut watched = BTreeSet::new();
        for (id, alarm) in of_type(&document, "AWS::CloudWatch::Alarm") {
            let metrics = alarm["Metrics"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(metrics.len() <= 11, "{id}: CloudWatch adds up 10 metrics at most");
            let stats = metrics.iter().map(|it| &it["MetricStat"]["Metric"]);
            let of_metric = stats.filter(|it| it["MetricName"] == metric);
            watched.extend(of_metric.map(|it| it["Dimensions"][0]["Value"].to_string()));
        }
        for (id, function) in of_type(&document, "AWS::Serverless::Function") {
            assert!(watched.contains(&function["FunctionName"].to_string()), "{metric} of {id}");
        }
    }
}
