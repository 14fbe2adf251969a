//! What happened.

pub mod audit;
pub mod events;
pub mod stream;
