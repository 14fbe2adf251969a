//! The one list of event names and their current versions.

use crate::agent::*;
use crate::integration::*;
use crate::key::*;
use crate::scoping::*;
use crate::skill::*;
use crate::subscription::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! events {
    ($($name:ident: $version:literal),* $(,)?) => {
        /// Everything that can happen. Stored as `type`, `version` and `data`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", content = "data")]
        pub enum Event {
            $($name(Box<$name>)),*
        }

        impl Event {
            /// Every event name with the version that is written today.
            pub const ALL: &'static [(&'static str, u32)] = &[$((stringify!($name), $version)),*];

            pub fn name(&self) -> &'static str {
                match self {
                    $(Event::$name(_) => stringify!($name)),*
                }
            }

            pub fn version(&self) -> u32 {
                match self {
                    $(Event::$name(_) => $version),*
                }
            }

            /// The version that is written today, if there is such an event.
            pub fn current_version(name: &str) -> Option<u32> {
                Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, version)| *version)
            }

            /// Data of the current version. None when there is no such event.
            pub fn parse(name: &str, data: &str) -> Option<serde_json::Result<Self>> {
                match name {
                    $(stringify!($name) => Some(serde_json::from_str::<$name>(data).map(Self::from)),)*
                    _ => None,
                }
            }

            /// Name, version and JSON Schema of the data of every event.
            pub fn schemas() -> Vec<(&'static str, u32, schemars::Schema)> {
                vec![$((stringify!($name), $version, schemars::schema_for!($name))),*]
            }
        }

        $(impl From<$name> for Event {
            fn from(data: $name) -> Self {
                Event::$name(Box::new(data))
            }
        })*
    };
}

events! {
    Connected: 1,
    CredentialsRotated: 1,
    Discovered: 1,
    ScopingChanged: 1,
    SkillsQuarantined: 1,
    Disconnected: 1,
    CredentialsShredded: 1,
    AgentCreated: 1,
    Published: 1,
    RolledBack: 1,
    BindingDrafted: 1,
    BindingRevised: 1,
    SkillEnabled: 1,
    SkillDisabled: 1,
    SkillRemoved: 1,
    KeyMinted: 2,
    KeyRotated: 1,
    KeyRevoked: 1,
    KeyRenamed: 1,
    SubscriptionCreated: 1,
    SubscriptionSecretRotated: 1,
    SubscriptionParked: 1,
    SubscriptionResumed: 1,
    SubscriptionDeleted: 1,
}
