//! The outside world, in parts that do not know each other.

#[cfg(feature = "aws")]
pub mod aws;
pub mod databases;
#[cfg(all(feature = "aws", any(test, feature = "conformance")))]
pub mod emulators;
pub mod sealing;
pub mod secret;
pub mod storage;
