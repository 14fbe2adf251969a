//! What happened.

pub mod audit;
pub mod checkpoint;
pub mod events;
pub mod export;
pub mod stream;
pub mod who;
