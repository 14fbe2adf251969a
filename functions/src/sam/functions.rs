//! A function: its code, its role, its log group and what wakes it.

use super::data::{ANSWERS_KEY, BUCKET, CHECKPOINTS_KEY, CREDENTIALS_KEY};
use super::feed::EVENT_BUS;
use super::{
    Resource, assistants, attribute, feed, gateway, join, none_unless, pascal, policies, reference, sub,
};
use crate::endpoint::{Endpoint, Function, Grant, Shape};
use crate::reactions::Reaction;
use serde_json::{Value, json};

/// The condition that subnets were given.
pub const IN_VPC: &str = "InVpc";
/// The parameter that says how many streams there may be at once.
pub const STREAM_CONCURRENCY: &str = "StreamConcurrency";

pub fn of_endpoint(endpoint: &Endpoint) -> Vec<Resource> {
    let mut function = Declared::new(endpoint.name, endpoint.summary, endpoint.function);
    match endpoint.shape {
        // The gateway holds an answer back until it is whole; a function URL does not.
        Shape::Stream => {
            function.properties["FunctionUrlConfig"] =
                json!({ "AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM" });
            // A process serves one stream, so no limit in a process binds; and streams must leave calls their share.
            function.properties["ReservedConcurrentExecutions"] = reference(STREAM_CONCURRENCY);
        }
        Shape::One | Shape::List | Shape::Paged | Shape::Messages => {
            function.properties["Events"] = gateway::routes(endpoint);
        }
    }
    function.resources()
}

pub fn of_reaction(reaction: &Reaction) -> Vec<Resource> {
    let mut function = Declared::new(reaction.name, reaction.summary, reaction.function);
    if let Some((name, event)) = feed::event(reaction.woken_by) {
        function.properties["Events"] = json!({ name: event });
    }
    function.statements.extend(feed::statements(reaction.woken_by));
    function.resources()
}

struct Declared {
    id: String,
    name: &'static str,
    statements: Vec<Value>,
    properties: Value,
}

impl Declared {
    fn new(name: &'static str, what: &str, function: Function) -> Self {
        let id = pascal(name);
        let mut statements = policies::platform(&log_group(&id));
        statements.extend(policies::every_function());
        statements.extend(function.grants.iter().flat_map(|grant| policies::grant(*grant)));
        let mut properties = json!({
            "Description": what,
            "FunctionName": full_name(name),
            // The one artefact looks here for which function it is.
            "Handler": name,
            "MemorySize": function.memory_mb,
            "Timeout": function.timeout.as_secs(),
            "Role": attribute(&role(&id), "Arn"),
            "LoggingConfig": { "LogGroup": reference(&log_group(&id)) },
        });
        let mut variables = json!({});
        if function.grants.contains(&Grant::Dial) {
            let network = json!({
                "SubnetIds": reference("VpcSubnetIds"),
                "SecurityGroupIds": reference("VpcSecurityGroupIds"),
            });
            variables["BINDERY_WARM_ORGANIZATIONS"] = reference("WarmOrganizations");
            properties["VpcConfig"] = none_unless(IN_VPC, network);
        }
        if function.grants.contains(&Grant::AskAssistant) {
            variables["BINDERY_ASSISTANT"] = reference(assistants::PROVIDER);
            variables["BINDERY_ASSISTANT_URL"] = reference(assistants::URL);
            variables["BINDERY_ASSISTANT_MODEL"] = reference(assistants::MODEL);
            variables["BINDERY_ASSISTANT_KEY_SECRET"] = reference(assistants::KEY_SECRET);
        }
        if variables != json!({}) {
            properties["Environment"] = json!({ "Variables": variables });
        }
        Self { id, name, statements, properties }
    }

    fn resources(self) -> Vec<Resource> {
        let assumed_by_lambda = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }]});
        let policy = json!({
            "PolicyName": self.name,
            "PolicyDocument": { "Version": "2012-10-17", "Statement": self.statements },
        });
        vec![
            (
                self.id.clone(),
                json!({
                    "Type": "AWS::Serverless::Function",
                    "Metadata": {
                        "BuildMethod": "rust-cargolambda",
                        "BuildProperties": { "Binary": "lambda" },
                    },
                    "Properties": self.properties,
                }),
            ),
            (
                role(&self.id),
                json!({
                    "Type": "AWS::IAM::Role",
                    "Properties": { "AssumeRolePolicyDocument": assumed_by_lambda, "Policies": [policy] },
                }),
            ),
            (
                log_group(&self.id),
                json!({
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {
                        "LogGroupName": join("/aws/lambda/", self.name),
                        "RetentionInDays": reference("LogRetentionDays"),
                    },
                }),
            ),
        ]
    }
}

/// `<stack>-<name>`, which roles and alarms can name before the function is there.
pub fn full_name(name: &str) -> Value {
    sub(&format!("${{AWS::StackName}}-{name}"))
}

fn role(id: &str) -> String {
    format!("{id}Role")
}

fn log_group(id: &str) -> String {
    format!("{id}Logs")
}

/// Names of what there is: whether a function may use it is for its role to say.
pub fn shared_environment() -> Value {
    json!({
        "BINDERY_TABLES": reference("AWS::StackName"),
        "BINDERY_BUCKET": reference(BUCKET),
        "BINDERY_CREDENTIALS_KEY": attribute(CREDENTIALS_KEY, "Arn"),
        "BINDERY_ANSWERS_KEY": attribute(ANSWERS_KEY, "Arn"),
        "BINDERY_CHECKPOINTS_KEY": attribute(CHECKPOINTS_KEY, "Arn"),
        "BINDERY_EVENT_BUS": reference(EVENT_BUS),
        "BINDERY_SECRETS": reference("AWS::StackName"),
        // Who takes the address of a webhook refuses what nobody would dial.
        "BINDERY_ALLOW_PRIVATE_HOSTS": reference("AllowPrivateHosts"),
        "BINDERY_LOG": reference("LogLevel"),
        "BINDERY_PUBLIC_URL": gateway::public_url(),
    })
}
