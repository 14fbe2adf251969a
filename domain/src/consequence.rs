//! Which events follow from others.

use events::Event;

/// Whether an event follows from another one of its commit, the first, rather than from the command itself.
pub fn is_consequence(event: &Event) -> bool {
    match event {
        Event::SkillsQuarantined(_) | Event::CredentialsShredded(_) => true,
        Event::Connected(_)
        | Event::CredentialsRotated(_)
        | Event::Discovered(_)
        | Event::ScopingChanged(_)
        | Event::Disconnected(_)
        | Event::AgentCreated(_)
        | Event::Published(_)
        | Event::RolledBack(_)
        | Event::BindingDrafted(_)
        | Event::BindingRevised(_)
        | Event::SkillEnabled(_)
        | Event::SkillDisabled(_)
        | Event::SkillRemoved(_)
        | Event::KeyMinted(_)
        | Event::KeyRotated(_)
        | Event::KeyRevoked(_)
        | Event::KeyRenamed(_)
        | Event::SubscriptionCreated(_)
        | Event::SubscriptionSecretRotated(_)
        | Event::SubscriptionParked(_)
        | Event::SubscriptionResumed(_)
        | Event::SubscriptionDeleted(_) => false,
    }
}
