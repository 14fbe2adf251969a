//! One customer database: connected, rotated, discovered, disconnected.

use crate::catalog::{Catalog, drift};
use crate::organization::{Decision, Organization};
use crate::refusal::Refusal;
use crate::skill::quarantine;
use events::integration::{
    Connected, CredentialsRotated, CredentialsShredded, Disconnected, Discovered, Endpoint, QuarantineCause,
};
use events::{Event, IntegrationKind, Recorded, Seq, Subject, SubjectKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

// Stream

pub fn subject(kind: IntegrationKind) -> Subject {
    Subject::new(SubjectKind::Integration, kind)
}

// Fold

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Integration {
    pub version: Seq,
    /// None before the first connect and after a disconnect.
    pub connection: Option<Connection>,
    /// Never goes back, so that a sealed record's version is never used twice.
    pub last_credential_version: u32,
    /// What the last discovery found; kept over a disconnect, so that a reconnect has something to compare with.
    pub discovery: Option<Discovery>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    pub endpoint: Endpoint,
    pub credential_version: u32,
    pub connected_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovery {
    /// The connection leads elsewhere since, or nowhere: this schema is good for a comparison and nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    pub schema_root: String,
    pub schema_hash: String,
    pub object_count: u64,
    pub field_count: u64,
    pub edge_count: u64,
    pub operation_count: u64,
    pub discovered_at: Timestamp,
}

impl Integration {
    /// Credentials up to this version serve nobody any more.
    pub fn ended_credentials(&self) -> u32 {
        match &self.connection {
            Some(connection) => connection.credential_version - 1,
            None => self.last_credential_version,
        }
    }

    pub(crate) fn connected(&mut self, recorded: &Recorded, data: &Connected) {
        self.connect(recorded, &data.endpoint, data.credential_version);
    }

    pub(crate) fn rotated(&mut self, recorded: &Recorded, data: &CredentialsRotated) {
        self.connect(recorded, &data.endpoint, data.credential_version);
        if data.target_changed {
            self.outdate();
        }
    }

    fn outdate(&mut self) {
        if let Some(discovery) = &mut self.discovery {
            discovery.outdated = true;
        }
    }

    fn connect(&mut self, recorded: &Recorded, endpoint: &Endpoint, credential_version: u32) {
        self.version = recorded.seq;
        self.last_credential_version = self.last_credential_version.max(credential_version);
        self.connection = Some(Connection {
            endpoint: endpoint.clone(),
            credential_version,
            connected_at: recorded.recorded_at,
        });
    }

    pub(crate) fn discovered(&mut self, recorded: &Recorded, data: &Discovered) {
        self.version = recorded.seq;
        self.discovery = Some(Discovery {
            outdated: false,
            schema_root: data.schema_root.clone(),
            schema_hash: data.schema_hash.clone(),
            object_count: data.object_count,
            field_count: data.field_count,
            edge_count: data.edge_count,
            operation_count: data.operation_count,
            discovered_at: recorded.recorded_at,
        });
    }

    pub(crate) fn disconnected(&mut self, recorded: &Recorded) {
        self.version = recorded.seq;
        self.connection = None;
        self.outdate();
    }
}

impl Organization {
    pub fn connection(&self, kind: IntegrationKind) -> Result<&Connection, Refusal> {
        self.integrations
            .get(&kind)
            .and_then(|integration| integration.connection.as_ref())
            .ok_or(Refusal::NotConnected { kind })
    }

    /// What was discovered where the connection leads now.
    pub fn discovery(&self, kind: IntegrationKind) -> Result<&Discovery, Refusal> {
        let current = self.last_discovery(kind).filter(|discovery| !discovery.outdated);
        current.ok_or(Refusal::NotDiscovered { kind })
    }

    /// The last discovery, whatever it led to: what a new one is compared with.
    pub fn last_discovery(&self, kind: IntegrationKind) -> Option<&Discovery> {
        self.integrations.get(&kind).and_then(|integration| integration.discovery.as_ref())
    }

    /// The version that the next sealed credentials are bound to.
    pub fn next_credential_version(&self, kind: IntegrationKind) -> u32 {
        self.integrations.get(&kind).map_or(0, |integration| integration.last_credential_version) + 1
    }
}

// Decisions

/// Connects, or rotates the credentials of what is connected. The credentials are sealed before.
pub fn connect(
    organization: &Organization,
    kind: IntegrationKind,
    endpoint: Endpoint,
    credential_version: u32,
) -> Decision {
    let integration = organization.integrations.get(&kind);
    let mut events: Vec<(Subject, Event)> = Vec::new();
    match integration.and_then(|integration| integration.connection.as_ref()) {
        None => {
            events.push((subject(kind), Connected { kind, endpoint, credential_version }.into()));
        }
        Some(before) => {
            let target_changed = !before.endpoint.same_target(&endpoint);
            let rotated = CredentialsRotated { kind, endpoint, credential_version, target_changed };
            events.push((subject(kind), rotated.into()));
            if target_changed {
                let stopped = quarantine(organization, kind, |_| {
                    let reason =
                        "the connection leads to another host or database since; discover it to go on";
                    Some((QuarantineCause::TargetChanged, reason.to_owned()))
                });
                events.extend(stopped.map(|stopped| (subject(kind), stopped.into())));
            }
        }
    }
    Decision::on_everything(events)
}

/// Records what a discovery found: which statements it stops, and which it sets free. `credential_version` is the
/// one it read with: what was read over a connection that has been replaced since says nothing of the new one.
pub fn discover(
    organization: &Organization,
    kind: IntegrationKind,
    catalog: &Catalog,
    before: Option<&Catalog>,
    schema_root: String,
    credential_version: u32,
) -> Result<Decision, Refusal> {
    if organization.connection(kind)?.credential_version != credential_version {
        return Err(Refusal::ConnectionChanged { kind });
    }
    let blocked = organization.blocked(kind);
    // Not only what may run today: a version that a rollback points at must not stay stopped for ever.
    let mut released: Vec<String> = organization
        .skills
        .values()
        .flat_map(|skill| skill.definitions.values().map(move |definition| (skill, &definition.statement)))
        .filter(|(skill, statement)| {
            statement.dialect == kind
                && skill.may_be_released_by_discovery(&statement.hash)
                && drift(statement, catalog, blocked).is_none()
        })
        .map(|(_, statement)| statement.hash.clone())
        .collect();
    released.sort();
    released.dedup();
    let stopped = quarantine(organization, kind, |statement| drift(statement, catalog, blocked));
    let discovered = Discovered {
        kind,
        schema_root,
        schema_hash: catalog.schema_hash(),
        object_count: catalog.objects.len() as u64,
        field_count: catalog.field_count(),
        edge_count: catalog.edge_count(),
        operation_count: catalog.operation_count(),
        changes: before.map(|before| catalog.diff(before)).unwrap_or_default(),
        released,
    };
    let mut events = vec![(subject(kind), discovered.into())];
    events.extend(stopped.map(|stopped| (subject(kind), stopped.into())));
    Ok(Decision::on_everything(events))
}

/// Ends the connection. The sealed credentials are destroyed beside this commit.
pub fn disconnect(organization: &Organization, kind: IntegrationKind) -> Result<Decision, Refusal> {
    let connection = organization.connection(kind)?;
    let stopped = quarantine(organization, kind, |_| {
        let reason = "the database was disconnected; connect and discover it to go on";
        Some((QuarantineCause::Disconnected, reason.to_owned()))
    });
    // Every rotation destroyed the version before it.
    let shredded = CredentialsShredded { kind, credential_versions: vec![connection.credential_version] };
    let mut events: Vec<(Subject, Event)> = vec![(subject(kind), Disconnected { kind }.into())];
    events.extend(stopped.map(|stopped| (subject(kind), stopped.into())));
    events.push((subject(kind), shredded.into()));
    Ok(Decision::on_everything(events))
}
