//! Puts the services of a process together.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(test, feature = "embedded"))]
pub mod embedded;
