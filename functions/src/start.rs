//! Puts the services of a process together.

#[cfg(feature = "aws")]
pub mod aws;
pub mod embedded;
