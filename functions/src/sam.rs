//! `template.yaml`: what is deployed on AWS, from the endpoint list, the list of what else is woken, and the tables.
//!
//! The template is a value first, which tests can question, and then text. Every role is written out, so that what a
//! function may do is what stands there, and nothing that a tool adds.

mod alarms;
mod assistants;
mod data;
mod feed;
mod functions;
mod gateway;
mod parameters;
mod policies;
#[cfg(test)]
mod tests;
mod yaml;

use crate::{endpoints, reactions};
use serde_json::{Map, Value, json};

/// A logical id and what stands under it.
type Resource = (String, Value);

const ABOUT: &str = "# Generated from the endpoint list, the tables and functions/src/sam: change those, then type\n\
                     # BINDERY_BLESS=1 cargo test -p functions --lib sam\n";

pub struct Template {
    head: Vec<(&'static str, Value)>,
    /// Resources that belong together, each group with a title.
    groups: Vec<(&'static str, Vec<Resource>)>,
    outputs: Value,
}

pub fn template() -> Template {
    let head = vec![
        ("AWSTemplateFormatVersion", json!("2010-09-09")),
        ("Transform", json!("AWS::Serverless-2016-10-31")),
        ("Description", json!("Bindery: each endpoint a function of its own, with a role of its own")),
        ("Parameters", parameters::parameters()),
        ("Conditions", parameters::conditions()),
        ("Globals", globals()),
    ];
    let groups = vec![
        ("The log and what stands beside it", [data::tables(), data::bucket()].concat()),
        ("Keys and secrets", [data::keys(), data::secrets()].concat()),
        ("The doorbell: heads' stream, pipe, queue; the event bus", feed::resources()),
        ("The API", gateway::resources()),
        ("Endpoints", endpoints::ALL.iter().flat_map(|it| functions::of_endpoint(it)).collect()),
        ("Reactions", reactions::ALL.iter().flat_map(|it| functions::of_reaction(it)).collect()),
        ("Alarms", alarms::resources()),
    ];
    Template { head, groups, outputs: parameters::outputs() }
}

/// What all functions have in common.
fn globals() -> Value {
    json!({ "Function": {
        "Runtime": "provided.al2023",
        "Architectures": [reference("Architecture")],
        "CodeUri": "functions/",
        "Tracing": "Active",
        "Environment": { "Variables": functions::shared_environment() },
    }})
}

impl Template {
    pub fn document(&self) -> Value {
        let mut document: Map<String, Value> =
            self.head.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let resources: Map<String, Value> = self.groups.iter().flat_map(|(_, group)| group.clone()).collect();
        document.insert("Resources".to_owned(), Value::Object(resources));
        document.insert("Outputs".to_owned(), self.outputs.clone());
        Value::Object(document)
    }

    pub fn to_yaml(&self) -> String {
        let mut text = ABOUT.to_owned();
        for (name, value) in &self.head {
            yaml::member(&mut text, 0, name, value);
        }
        text.push_str("Resources:\n");
        for (title, group) in &self.groups {
            text.push_str(&format!("\n  # {title}\n"));
            for (id, resource) in group {
                yaml::member(&mut text, 1, id, resource);
            }
        }
        text.push('\n');
        yaml::member(&mut text, 0, "Outputs", &self.outputs);
        text
    }
}

fn reference(id: &str) -> Value {
    json!({ "Ref": id })
}

fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, name] })
}

fn sub(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}

/// `value` when the condition holds, else as if nothing had been written.
fn none_unless(condition: &str, value: Value) -> Value {
    json!({ "Fn::If": [condition, value, reference("AWS::NoValue")] })
}

/// `<prefix><stack>-<name>`
fn join(prefix: &str, name: &str) -> Value {
    sub(&format!("{prefix}${{AWS::StackName}}-{name}"))
}

/// `agents-create` as a logical id: `AgentsCreate`.
fn pascal(name: &str) -> String {
    let capitalized = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    };
    name.split(['-', '_']).map(capitalized).collect()
}
