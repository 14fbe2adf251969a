//! Puts the services of a process together.

#[cfg(any(test, feature = "aws", feature = "embedded"))]
mod assistants;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(test, feature = "embedded"))]
pub mod embedded;
#[cfg(any(test, feature = "embedded"))]
pub mod serve;
