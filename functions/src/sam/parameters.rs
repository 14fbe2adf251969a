//! What a deployment chooses, and what it is told.

use super::functions::IN_VPC;
use super::{alarms, assistants, feed, functions, gateway, policies, reference, sub};
use crate::endpoint::Shape;
use crate::endpoints;
use crate::reactions::{self, Trigger};
use serde_json::{Value, json};

pub fn parameters() -> Value {
    let text =
        |what: &str, default: &str| json!({ "Type": "String", "Description": what, "Default": default });
    let number =
        |what: &str, default: u32| json!({ "Type": "Number", "Description": what, "Default": default });
    let list = |what: &str| json!({ "Type": "CommaDelimitedList", "Description": what, "Default": "" });
    let mut architecture = text("Of the functions' processor", "arm64");
    architecture["AllowedValues"] = json!(["arm64", "x86_64"]);
    let mut retention = number("Days that log lines are kept", 30);
    retention["AllowedValues"] = json!([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]);
    let mut parameters = json!({
        "AllowPrivateHosts": text(
            "Comma list of address blocks (CIDR) that customers' databases may live in although they are private: \
             those of PrivateLink endpoints and of databases in the VPC. Empty refuses all.",
            "",
        ),
        "VpcSubnetIds": list("Subnets of the functions that dial customers' databases; empty for no VPC"),
        "VpcSecurityGroupIds": list("Security groups of the same functions"),
        "LogLevel": text("What functions log, such as warn or functions=debug", "info"),
        "LogRetentionDays": retention,
        "DomainName": text("A domain of the API; empty for the address that AWS gives it", ""),
        "CertificateArn": text("The domain's certificate in this region", ""),
        "PublicUrl": text("How clients reach the API when something else stands in front of it", ""),
        "AlarmEmail": text("Who is told about alarms; empty for nobody", ""),
        "WarmOrganizations": text(
            "Comma list of organizations that functions which dial load, and connect to, while they start",
            "",
        ),
        policies::FORMER_KEY: text(
            "The KMS key that credentials are moved away from, which still opens them; empty when there is none",
            "",
        ),
        "Architecture": architecture,
        functions::STREAM_CONCURRENCY: number(
            "Event streams at once: each is an execution for as long as it is read, and these are taken from the \
             account's",
            100,
        ),
        "ThrottlingRate": number("Requests per second that the API lets through on each route", 2000),
        "ThrottlingBurst": number("Requests at once that the API lets through on each route", 1000),
    });
    for (name, parameter) in assistants::parameters() {
        parameters[name] = parameter;
    }
    parameters
}

pub fn conditions() -> Value {
    let given = |value: Value| json!({ "Fn::Not": [{ "Fn::Equals": [value, ""] }] });
    let mut conditions = json!({
        IN_VPC: given(json!({ "Fn::Join": ["", reference("VpcSubnetIds")] })),
        gateway::HAS_DOMAIN: given(reference("DomainName")),
        policies::HAS_FORMER_KEY: given(reference(policies::FORMER_KEY)),
        alarms::HAS_EMAIL: given(reference("AlarmEmail")),
    });
    for (name, condition) in assistants::conditions() {
        conditions[name] = condition;
    }
    conditions
}

pub fn outputs() -> Value {
    let mut outputs = gateway::outputs();
    for endpoint in endpoints::ALL.iter().filter(|it| it.shape == Shape::Stream) {
        let id = super::pascal(endpoint.name);
        outputs[format!("{id}Address")] = json!({
            "Description": format!("Where {} is answered as a stream", endpoint.path),
            "Value": super::attribute(&format!("{id}Url"), "FunctionUrl"),
        });
    }
    for reaction in reactions::ALL.iter().filter(|it| it.woken_by == Trigger::Operator) {
        outputs[format!("{}Function", super::pascal(reaction.name))] = json!({
            "Description": format!("For operators to invoke: {}", reaction.summary),
            "Value": functions::full_name(reaction.name),
        });
    }
    outputs["EventBus"] = json!({ "Description": "The bus that every event is put on, for rules", "Value": super::attribute(feed::EVENT_BUS, "Arn") });
    outputs["Prefix"] = json!({ "Description": "What tables and secrets are named after", "Value": sub("${AWS::StackName}") });
    outputs
}
