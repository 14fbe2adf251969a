//! Puts the services of a process together.

mod assistants;
#[cfg(feature = "aws")]
pub mod aws;
pub mod embedded;
