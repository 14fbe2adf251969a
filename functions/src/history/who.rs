//! Who did something, as it is shown. The log has ids alone; what a key is called stands in the directory beside it.

use events::{Actor, ActorKind, KeyId};
use infra::storage::directory::KeyNames;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Who {
    #[serde(flatten)]
    pub actor: Actor,
    /// What the key is called now; null when it has no name, or none any more.
    pub name: Option<String>,
}

impl Who {
    pub fn of(actor: &Actor, names: &KeyNames) -> Self {
        let name = match actor.kind {
            ActorKind::Key => names.get(&KeyId::from(actor.id.clone())).cloned(),
            ActorKind::Operator | ActorKind::Service => None,
        };
        Self { actor: actor.clone(), name }
    }
}
