//! What an agent must never see.

use crate::IntegrationKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Blocked names as the catalog spells them: `table`, or `schema.table` outside the default schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blocked {
    #[serde(default)]
    pub blocked_tables: BTreeSet<String>,
    #[serde(default)]
    pub blocked_columns: BTreeMap<String, BTreeSet<String>>,
}

impl Blocked {
    pub fn table(&self, object: &str) -> bool {
        self.blocked_tables.contains(object)
    }

    pub fn column(&self, object: &str, column: &str) -> bool {
        self.table(object) || self.blocked_columns.get(object).is_some_and(|columns| columns.contains(column))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopingChanged {
    pub kind: IntegrationKind,
    /// The whole scoping after the change.
    pub blocked: Blocked,
}
