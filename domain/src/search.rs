//! Finds the tables and columns that a person's words mean.

mod words;

pub use words::singular;
