//! The outside world, in parts that do not know each other.

pub mod assistants;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(all(test, feature = "aws"))]
mod black_hole_tests;
#[cfg(feature = "aws")]
pub mod bus;
pub mod databases;
mod derive;
#[cfg(all(feature = "aws", any(test, feature = "conformance")))]
pub mod emulators;
pub mod outgoing;
pub mod peppers;
pub mod sealing;
pub mod secret;
#[cfg(feature = "aws")]
pub mod service_keys;
pub mod signing;
pub mod storage;
pub mod telemetry;
