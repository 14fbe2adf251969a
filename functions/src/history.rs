//! What happened.

pub mod events;
