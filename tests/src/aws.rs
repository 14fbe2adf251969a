//! A cloud on loopback: what stands in for AWS around the real functions.

pub mod events;
pub mod faults;
pub mod fleet;
pub mod gateway;
pub mod runtime_api;
pub mod streams;
pub mod wire;
