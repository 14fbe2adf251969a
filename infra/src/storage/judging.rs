//! Whether a commit may be appended to a log that has come this far.

use super::{AppendError, Expects};
use domain::Organization;
use events::{Event, KeyId, OrganizationId, Recorded, Seq, Subject, SubjectKind};

/// # Errors
/// What the decision was made on has moved.
pub fn judge(state: &Organization, expects: &Expects) -> Result<(), AppendError> {
    match expects {
        Expects::Head(seq) if *seq == state.head => Ok(()),
        Expects::Head(_) => Err(AppendError::HeadMoved { actual: state.head }),
        Expects::Streams(streams) => {
            let moved = streams.iter().find(|(subject, seq)| state.version(subject) != *seq);
            moved.map_or(Ok(()), |(subject, _)| {
                Err(AppendError::StreamMoved { subject: subject.clone(), actual: state.version(subject) })
            })
        }
    }
}

/// The refusal of a key id that leads to another organization. Ids are random, so this is a mistake of the caller or
/// an attack.
pub fn foreign_key(key: &KeyId) -> AppendError {
    AppendError::StreamMoved { subject: Subject::new(SubjectKind::Key, key), actual: Seq(0) }
}

/// Keys that lead to their organization from now on.
pub fn minted(events: &[Recorded]) -> impl Iterator<Item = (&OrganizationId, &KeyId)> {
    events.iter().filter_map(|event| match &event.event {
        Event::KeyMinted(minted) => Some((&event.organization, &minted.key_id)),
        Event::Connected(_)
        | Event::CredentialsRotated(_)
        | Event::Discovered(_)
        | Event::ScopingChanged(_)
        | Event::SkillsQuarantined(_)
        | Event::Disconnected(_)
        | Event::CredentialsShredded(_)
        | Event::AgentCreated(_)
        | Event::Published(_)
        | Event::RolledBack(_)
        | Event::BindingDrafted(_)
        | Event::BindingRevised(_)
        | Event::SkillEnabled(_)
        | Event::SkillDisabled(_)
        | Event::SkillRemoved(_)
        | Event::KeyRotated(_)
        | Event::KeyRevoked(_)
        | Event::KeyRenamed(_)
        | Event::SubscriptionCreated(_)
        | Event::SubscriptionSecretRotated(_)
        | Event::SubscriptionParked(_)
        | Event::SubscriptionResumed(_)
        | Event::SubscriptionDeleted(_) => None,
    })
}
