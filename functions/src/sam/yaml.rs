//! Writes a template's value as YAML that a person can read: block style, CloudFormation's short tags, and the members
//! that say what a thing is before those that say how it is.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// These come first and in this order; other members follow by name.
const LEADING: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Type",
    "PolicyName",
    "Version",
    "Sid",
    "Effect",
    "Principal",
    "Action",
    "Resource",
    "Condition",
];

/// A longer list stands below, an item on each line.
const FLOW_CHARS: usize = 90;

/// One member of the mapping at `depth`, with its line ends.
pub fn member(text: &mut String, depth: usize, name: &str, value: &Value) {
    let _ = write!(text, "{}{}:", "  ".repeat(depth), scalar(name));
    beside(text, depth, value);
}

/// What stands behind a colon: on the same line when it is short by nature, else below.
fn beside(text: &mut String, depth: usize, value: &Value) {
    if let Some(line) = inline(value) {
        let _ = writeln!(text, " {line}");
        return;
    }
    if let Some((tag, inner)) = tagged(value) {
        let _ = write!(text, " {tag}");
        return beside(text, depth, inner);
    }
    text.push('\n');
    match value {
        Value::Object(members) => {
            for (name, value) in ordered(members) {
                member(text, depth + 1, name, value);
            }
        }
        Value::Array(items) => items.iter().for_each(|value| item(text, depth + 1, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            unreachable!("scalars stand on one line")
        }
    }
}

/// An item's first member stands behind its dash.
fn item(text: &mut String, depth: usize, value: &Value) {
    let indent = "  ".repeat(depth);
    if inline(value).is_some() || tagged(value).is_some() || value.is_array() {
        let _ = write!(text, "{indent}-");
        return beside(text, depth, value);
    }
    let mut block = String::new();
    for (name, value) in ordered(value.as_object().expect("everything else is a mapping")) {
        member(&mut block, depth + 1, name, value);
    }
    let _ = write!(text, "{indent}- {}", block.trim_start());
}

/// A value that needs no lines of its own.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(string) => Some(scalar(string)),
        Value::Array(items) => flow(items),
        Value::Object(members) if members.is_empty() => Some("{}".to_owned()),
        Value::Object(_) => {
            let (tag, inner) = tagged(value)?;
            match (tag, inner) {
                ("!GetAtt", Value::Array(path)) => {
                    let path: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
                    Some(format!("{tag} {}", path.join(".")))
                }
                (_, Value::String(string)) => Some(format!("{tag} {}", scalar(string))),
                _ => None,
            }
        }
    }
}

/// A short list of scalars, on one line.
fn flow(items: &[Value]) -> Option<String> {
    let items: Vec<String> =
        items.iter().map(|value| inline(value).filter(|_| !value.is_array())).collect::<Option<_>>()?;
    // In a list these end a plain scalar.
    let breaks = |item: &String| !item.contains('"') && item.contains(['{', '}', '[', ']', ',']);
    let line = format!("[{}]", items.join(", "));
    (line.len() <= FLOW_CHARS && !items.iter().any(breaks)).then_some(line)
}

/// The short form of an intrinsic function.
fn tagged(value: &Value) -> Option<(&'static str, &Value)> {
    let members = value.as_object()?;
    let (name, inner) = members.iter().next().filter(|_| members.len() == 1)?;
    let tag = match name.as_str() {
        "Ref" => "!Ref",
        "Fn::Sub" => "!Sub",
        "Fn::GetAtt" => "!GetAtt",
        "Fn::If" => "!If",
        "Fn::Join" => "!Join",
        "Fn::Not" => "!Not",
        "Fn::And" => "!And",
        "Fn::Equals" => "!Equals",
        _ => return None,
    };
    Some((tag, inner))
}

fn ordered(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut ordered: Vec<(&String, &Value)> = members.iter().collect();
    let rank = |name: &str| LEADING.iter().position(|leading| *leading == name).unwrap_or(LEADING.len());
    ordered.sort_by_key(|(name, _)| (rank(name), name.as_str().to_owned()));
    ordered
}

/// A plain scalar where nothing could read it as something else, else a double-quoted one: JSON's strings are YAML's.
fn scalar(string: &str) -> String {
    let starts_a_word = string.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let plain = |it: char| it.is_ascii_alphanumeric() || " -_./()${}%+;'".contains(it);
    let is_plain = string.chars().all(plain) || string.contains("::") && is_name(string);
    let is_word_of_yaml = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&string.to_lowercase().as_str());
    if starts_a_word && is_plain && !is_word_of_yaml && !string.ends_with(' ') {
        string.to_owned()
    } else {
        Value::from(string).to_string()
    }
}

/// Names such as `AWS::StackName`, alone or in braces: their colons are followed by no space, so they end no key.
fn is_name(string: &str) -> bool {
    string.chars().all(|it| it.is_ascii_alphanumeric() || ":-_./${}".contains(it)) && !string.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: &Value) -> String {
        let mut text = String::new();
        member(&mut text, 0, "It", value);
        text
    }

    #[test]
    fn members_that_say_what_a_thing_is_come_first() {
        let text = written(
            &json!({ "Properties": { "A": [] }, "DeletionPolicy": "Retain", "Type": "AWS::S3::Bucket" }),
        );
        assert_eq!(
            text,
            "It:\n  Type: AWS::S3::Bucket\n  DeletionPolicy: Retain\n  Properties:\n    A: []\n"
        );
    }

    #[test]
    fn intrinsic_functions_are_written_as_short_tags() {
        let text = written(&json!({
            "A": { "Fn::GetAtt": ["Heads", "Arn"] },
            "B": [{ "Ref": "Stage" }, { "Fn::If": ["InVpc", { "Size": 1, "Tags": [2] }, { "Ref": "AWS::NoValue" }] }],
            "C": { "Fn::Sub": "${Heads.Arn}/*" },
        }));
        let wanted = "It:\n  A: !GetAtt Heads.Arn\n  B:\n    - !Ref Stage\n    - !If\n      - InVpc\n      - Size: 1\n        \
                      Tags: [2]\n      - !Ref AWS::NoValue\n  C: !Sub \"${Heads.Arn}/*\"\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn short_lists_stand_on_one_line_and_others_below() {
        assert_eq!(written(&json!(["s3:GetObject", { "Ref": "A" }])), "It: [\"s3:GetObject\", !Ref A]\n");
        assert_eq!(written(&json!(["${A}"])), "It: [\"${A}\"]\n");
        assert_eq!(written(&json!([["a"], { "B": 1, "C": 2 }])), "It:\n  - [a]\n  - B: 1\n    C: 2\n");
        assert!(written(&json!(["a".repeat(50), "b".repeat(50)])).contains("\n  - bbb"));
    }

    #[test]
    fn what_yaml_would_read_as_something_else_is_quoted() {
        for string in
            ["", "true", "No", "1", "2012-10-17", "a: b", "a #b", "*", "- a", "a ", "\"", "#", "null", "a:"]
        {
            assert!(scalar(string).starts_with('"'), "{string:?} became {}", scalar(string));
        }
        for string in ["agents-list", "AWS::Serverless-2016-10-31", "/healthz", "rate(5 minutes)"] {
            assert_eq!(scalar(string), string);
        }
    }
}
