//! What the tests and the sample story share.

pub mod engines;

#[cfg(test)]
mod clinic;
