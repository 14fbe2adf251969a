//! What happened.

pub mod audit;
#[cfg(feature = "aws")]
pub mod bus;
pub mod checkpoint;
pub mod events;
pub mod export;
pub mod stream;
pub mod who;
