//! API keys. Their names are not here: they stand in a directory beside the log.

use crate::limits::KEYS_MAX;
use crate::organization::{Decision, Organization};
use crate::refusal::Refusal;
use events::key::{KeyMinted, KeyRenamed, KeyRevoked, KeyRotated};
use events::{Actor, KeyId, Recorded, Seq, Subject, SubjectKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// Stream

pub fn subject(id: &KeyId) -> Subject {
    Subject::new(SubjectKind::Key, id)
}

// Fold

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub version: Seq,
    pub scopes: Vec<String>,
    pub secret_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<KeyId>,
    pub created_at: Timestamp,
    pub created_by: Actor,
}

impl Key {
    pub(crate) fn minted(recorded: &Recorded, data: &KeyMinted) -> Self {
        Self {
            version: recorded.seq,
            scopes: data.scopes.clone(),
            secret_hash: data.secret_hash.clone(),
            expires_at: data.expires_at,
            revoked_at: None,
            successor: None,
            created_at: recorded.recorded_at,
            created_by: recorded.actor.clone(),
        }
    }

    pub(crate) fn rotated(&mut self, recorded: &Recorded, data: &KeyRotated) {
        self.version = recorded.seq;
        self.successor = Some(data.successor.clone());
        let earlier = self.expires_at.is_none_or(|expires| data.valid_until < expires);
        if earlier {
            self.expires_at = Some(data.valid_until);
        }
    }

    pub(crate) fn revoked(&mut self, recorded: &Recorded) {
        self.version = recorded.seq;
        self.revoked_at = Some(recorded.recorded_at);
    }

    /// Whether the key is taken at this instant.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|it| it == scope)
    }
}

impl Organization {
    pub fn key(&self, id: &str) -> Result<(&KeyId, &Arc<Key>), Refusal> {
        self.keys.get_key_value(id).ok_or(Refusal::NotFound { what: "key" })
    }
}

// Decisions

pub fn mint(organization: &Organization, minted: KeyMinted, now: Timestamp) -> Result<Decision, Refusal> {
    if organization.keys.values().filter(|key| key.is_valid(now)).count() >= KEYS_MAX {
        return Err(Refusal::LimitReached { what: "keys in force", limit: KEYS_MAX });
    }
    let stream = subject(&minted.key_id);
    Ok(Decision::on([stream.clone()], vec![(stream, minted.into())]))
}

/// Mints a successor with the same scopes and expiry; the old secret is taken until `valid_until`.
pub fn rotate(
    organization: &Organization,
    id: &KeyId,
    successor: KeyId,
    secret_hash: String,
    now: Timestamp,
    valid_until: Timestamp,
) -> Result<Decision, Refusal> {
    let (_, key) = organization.key(id.as_str())?;
    if !key.is_valid(now) || key.successor.is_some() {
        return Err(Refusal::KeyEnded);
    }
    let minted = KeyMinted {
        key_id: successor.clone(),
        scopes: key.scopes.clone(),
        secret_hash,
        expires_at: key.expires_at,
    };
    let events = vec![
        (subject(&successor), minted.into()),
        (subject(id), KeyRotated { successor: successor.clone(), valid_until }.into()),
    ];
    Ok(Decision::on([subject(id), subject(&successor)], events))
}

pub fn revoke(organization: &Organization, id: &KeyId) -> Result<Decision, Refusal> {
    let (_, key) = organization.key(id.as_str())?;
    let events = match key.revoked_at {
        Some(_) => Vec::new(),
        None => vec![(subject(id), KeyRevoked {}.into())],
    };
    Ok(Decision::on([subject(id)], events))
}

/// Records that the name beside the log is about to be another, or none.
pub fn rename(organization: &Organization, id: &KeyId, erased: bool) -> Result<Decision, Refusal> {
    organization.key(id.as_str())?;
    Ok(Decision::on([subject(id)], vec![(subject(id), KeyRenamed { erased }.into())]))
}
