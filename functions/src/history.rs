//! What happened.

pub mod events;
pub mod stream;
