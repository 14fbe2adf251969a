//! Published skills as models are told of them, in the words of each vendor. Neither statements nor names of the
//! customer's schema are in it, nor parameters that the call's context or the binding fills.

use crate::statement::{parameters_schema, strict_parameters_schema};
use events::skill::{Action, Definition, Statement};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Of a skill, what a model is told.
#[derive(Clone, Copy)]
pub struct Tool<'a> {
    pub name: &'a str,
    /// As its author named it, for people.
    pub title: &'a str,
    pub description: &'a str,
    pub statement: &'a Statement,
}

impl<'a> From<&'a Definition> for Tool<'a> {
    fn from(definition: &'a Definition) -> Self {
        let Definition { tool, tool_name, description, statement, .. } = definition;
        Self { name: tool, title: tool_name, description, statement }
    }
}

/// A tool in a vendor's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Changes exactly when name, description or a schema does.
    pub digest: String,
    pub definition: Value,
}

impl Tool<'_> {
    /// For OpenAI's Responses API. Strict wherever its subset of JSON Schema can say what the tool takes.
    pub fn for_openai(&self) -> Described {
        let strict = strict_parameters_schema(self.statement);
        let is_strict = strict.is_some();
        let schema = strict.unwrap_or_else(|| parameters_schema(self.statement));
        Described {
            digest: self.digest(&[&schema]),
            definition: json!({
                "type": "function", "name": self.name, "description": self.description, "parameters": schema,
                "strict": is_strict,
            }),
        }
    }

    /// For Anthropic's Messages API.
    pub fn for_anthropic(&self) -> Described {
        let schema = parameters_schema(self.statement);
        Described {
            digest: self.digest(&[&schema]),
            definition: json!({
                "name": self.name, "description": self.description, "input_schema": schema,
            }),
        }
    }

    /// As `tools/list` of the Model Context Protocol gives it. `answers` is the schema of structured content.
    pub fn for_mcp(&self, answers: Value) -> Described {
        let schema = parameters_schema(self.statement);
        let action = self.statement.action;
        Described {
            digest: self.digest(&[&schema, &answers]),
            definition: json!({
                "name": self.name, "title": self.title, "description": self.description,
                "inputSchema": schema, "outputSchema": answers,
                "annotations": {
                    "title": self.title,
                    "readOnlyHint": !action.is_write(),
                    // An insert adds, an update replaces what was there.
                    "destructiveHint": action == Action::Update,
                    "idempotentHint": action != Action::Insert,
                    "openWorldHint": false,
                },
            }),
        }
    }

    fn digest(&self, schemas: &[&Value]) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        part(self.name);
        part(self.description);
        // Members are sorted, so equal schemas are equal texts.
        schemas.iter().for_each(|schema| part(&schema.to_string()));
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests;
