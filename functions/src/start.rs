//! Puts the services of a process together.

pub mod embedded;
