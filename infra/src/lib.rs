//! The outside world, in parts that do not know each other.

pub mod databases;
pub mod sealing;
pub mod secret;
pub mod storage;
