//! What the agent must never see, and what that stops.

use crate::catalog::{Catalog, drift};
use crate::limits::{ERRORS_LISTED, SCOPING_NAMES_MAX};
use crate::nearest::nearest;
use crate::organization::{Decision, Organization};
use crate::refusal::{FieldError, Refusal};
use crate::skill::quarantine;
use events::integration::QuarantineCause;
use events::scoping::{Blocked, ScopingChanged};
use events::{Event, IntegrationKind, Recorded, Seq, Subject, SubjectKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

// Stream

pub fn subject(kind: IntegrationKind) -> Subject {
    Subject::new(SubjectKind::Scoping, kind)
}

// Fold

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scoping {
    pub version: Seq,
    /// The event that last changed `blocked`.
    pub changed_at: Seq,
    pub blocked: Blocked,
}

impl Scoping {
    pub(crate) fn changed(&mut self, recorded: &Recorded, data: &ScopingChanged) {
        self.version = recorded.seq;
        self.changed_at = recorded.seq;
        self.blocked = data.blocked.clone();
    }
}

static NOTHING: Blocked = Blocked { blocked_tables: BTreeSet::new(), blocked_columns: BTreeMap::new() };

impl Organization {
    pub fn blocked(&self, kind: IntegrationKind) -> &Blocked {
        self.scopings.get(&kind).map_or(&NOTHING, |scoping| &scoping.blocked)
    }
}

// Decisions

/// A change of the scoping: each part that is present replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub blocked_tables: Option<BTreeSet<String>>,
    pub blocked_columns: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Takes names that match nothing in the discovered schema.
    pub allow_unknown: bool,
}

/// `catalog` is the whole discovered schema, blocked things included; None before the first discovery.
pub fn change(
    organization: &Organization,
    kind: IntegrationKind,
    patch: Patch,
    catalog: Option<&Catalog>,
) -> Result<Decision, Refusal> {
    let before = organization.blocked(kind);
    let blocked = Blocked {
        blocked_tables: patch.blocked_tables.unwrap_or_else(|| before.blocked_tables.clone()),
        blocked_columns: patch.blocked_columns.unwrap_or_else(|| before.blocked_columns.clone()),
    };
    let names =
        blocked.blocked_tables.len() + blocked.blocked_columns.values().map(|it| it.len() + 1).sum::<usize>();
    if names > SCOPING_NAMES_MAX {
        let message = format!(
            "names {names} tables and columns together; at most {SCOPING_NAMES_MAX} can be blocked. To hide more, \
             grant the database user less"
        );
        return Err(Refusal::Invalid(vec![FieldError::new("", "too_many_names", message)]));
    }
    if let Some(catalog) = catalog.filter(|_| !patch.allow_unknown) {
        let unknown = unknown_targets(&blocked, before, catalog);
        if !unknown.is_empty() {
            return Err(Refusal::UnknownScopingTarget(unknown));
        }
    }
    if blocked == *before {
        return Ok(Decision::on_everything(Vec::new()));
    }
    let stopped = quarantine(organization, kind, |statement| match catalog {
        Some(catalog) => {
            drift(statement, catalog, &blocked).filter(|(cause, _)| *cause == QuarantineCause::Blocked)
        }
        None => None,
    });
    let mut events: Vec<(Subject, Event)> = vec![(subject(kind), ScopingChanged { kind, blocked }.into())];
    events.extend(stopped.map(|stopped| (subject(kind), stopped.into())));
    Ok(Decision::on_everything(events))
}

/// Names that match nothing, unless they stood in the scoping before: a table that was dropped since must not
/// keep its owner from blocking another.
fn unknown_targets(blocked: &Blocked, before: &Blocked, catalog: &Catalog) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = Vec::new();
    let objects = || catalog.objects.iter().map(|object| object.name.as_str());
    let unknown = |field: String, what: &str, names: Vec<String>| {
        let message = format!(
            "no {what} of this name was discovered, so blocking it would leave open what was meant; \
             check the spelling, discover again, or send allowUnknown: true"
        );
        FieldError::new(field, "unknown_scoping_target", message).nearest(names)
    };
    for table in blocked.blocked_tables.difference(&before.blocked_tables) {
        if errors.len() < ERRORS_LISTED && catalog.object(table).is_none() {
            errors.push(unknown(format!("blockedTables.{table}"), "table", nearest(table, objects())));
        }
    }
    for (table, columns) in &blocked.blocked_columns {
        let known_before = before.blocked_columns.get(table);
        match catalog.object(table) {
            None if known_before.is_none() && errors.len() < ERRORS_LISTED => {
                errors.push(unknown(format!("blockedColumns.{table}"), "table", nearest(table, objects())));
            }
            None => {}
            Some(object) => {
                let names = || object.fields.iter().map(|field| field.name.as_str());
                let new =
                    columns.iter().filter(|column| known_before.is_none_or(|known| !known.contains(*column)));
                let unknown_columns = new.filter(|column| object.field(column).is_none());
                for column in unknown_columns.take(ERRORS_LISTED.saturating_sub(errors.len())) {
                    let field = format!("blockedColumns.{table}.{column}");
                    errors.push(unknown(field, "column", nearest(column, names())));
                }
            }
        }
    }
    errors
}
