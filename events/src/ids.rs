//! Typed identifiers. They are opaque to clients; the prefix only helps a person who reads a log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

string_id! {
    /// The tenant. Decided by the API key alone.
    OrganizationId,
    /// `agt_…`
    AgentId,
    /// `skl_…`
    SkillId,
    /// `ver_…`, one published version of an agent.
    VersionId,
    /// `sub_…`, a webhook.
    SubscriptionId,
    /// The public part of an API key.
    KeyId,
    /// `evt_…`, sortable by time of creation.
    EventId,
    /// `req_…`, on every answer, in every log line and on every event that the request caused.
    RequestId,
    /// What makes an append repeatable: the same command id never appends twice.
    CommandId,
}

/// A position in an organization's log: 1, 2, 3 … without a gap. 0 is before the first event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which engine a connection speaks to. `mysql` also serves MariaDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationKind {
    Postgres,
    Mysql,
}

impl IntegrationKind {
    pub const ALL: [IntegrationKind; 2] = [IntegrationKind::Postgres, IntegrationKind::Mysql];

    pub fn as_str(self) -> &'static str {
        match self {
            IntegrationKind::Postgres => "postgres",
            IntegrationKind::Mysql => "mysql",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for IntegrationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
