//! Whether the platform knows who is calling, and how well.

use super::execute::given;
use domain::limits::IDENTITY_LEVELS;
use events::skill::Definition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the platform says of the caller's identity. True, or a name alone, is level 1.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum VerifiedIdentity {
    Flag(bool),
    Name(String),
    Verified(Verified),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    #[serde(default)]
    name: Option<String>,
    level: IdentityLevel,
}

impl VerifiedIdentity {
    /// From 0, which is nobody who is known, to 3.
    pub fn level(&self) -> u8 {
        match self {
            VerifiedIdentity::Flag(verified) => u8::from(*verified),
            VerifiedIdentity::Name(name) => u8::from(given(Some(name)).is_some()),
            VerifiedIdentity::Verified(verified) => verified.level.get(),
        }
    }

    pub fn name(&self) -> Option<&String> {
        match self {
            VerifiedIdentity::Flag(_) => None,
            VerifiedIdentity::Name(name) => given(Some(name)),
            VerifiedIdentity::Verified(verified) => given(verified.name.as_ref()),
        }
    }
}

/// One schema and no alternatives, so that what is wrong inside of the object is named.
impl JsonSchema for VerifiedIdentity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "VerifiedIdentity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether the platform knows who is calling, or as whom; as an object, how well too: true \
                            and a name alone are level 1.",
            "type": ["boolean", "string", "object"],
            "properties": {
                "name": generator.subschema_for::<Option<String>>(),
                "level": generator.subschema_for::<IdentityLevel>(),
            },
            "required": ["level"],
            "additionalProperties": false,
        })
    }
}

/// How well a caller is known, or must be. What each level asks for is for the platform to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct IdentityLevel(u8);

impl IdentityLevel {
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for IdentityLevel {
    type Error = String;

    fn try_from(level: u8) -> Result<Self, String> {
        if (1..=IDENTITY_LEVELS).contains(&level) {
            Ok(Self(level))
        } else {
            Err(format!("a level of identity is 1 to {IDENTITY_LEVELS}"))
        }
    }
}

impl From<IdentityLevel> for u8 {
    fn from(level: IdentityLevel) -> u8 {
        level.0
    }
}

impl JsonSchema for IdentityLevel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IdentityLevel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": IDENTITY_LEVELS })
    }
}

/// As clients see it: none where callers may be anybody.
pub fn required_level(definition: &Definition) -> Option<u8> {
    Some(definition.identity_level()).filter(|level| *level > 0)
}
