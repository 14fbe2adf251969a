//! The contract of the event log: the shapes that are stored, hashed and sent to subscribers.
//!
//! Nothing here decides anything. A shape that has shipped never changes: a new version of an event gets a new
//! shape, a frozen sample under `samples/`, and an upcaster from the version before it.

pub mod agent;
pub mod envelope;
pub mod ids;
pub mod integration;
pub mod json;
pub mod key;
pub mod names;
pub mod scoping;
pub mod skill;
pub mod subscription;
pub mod upcast;

#[cfg(test)]
mod frozen;

pub use envelope::{Actor, ActorKind, Recorded, Subject, SubjectKind, WireEvent};
pub use ids::*;
pub use names::Event;
