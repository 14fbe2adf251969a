//! Decisions. Nothing here is asynchronous, reads a clock, an environment or a file, or draws a random number:
//! what a decision needs is looked up first and handed in.

pub mod agent;
pub mod arguments;
pub mod catalog;
pub mod consequence;
pub mod drafting;
pub mod integration;
pub mod key;
pub mod limits;
pub mod nearest;
pub mod organization;
pub mod present;
pub mod refusal;
pub mod scoping;
pub mod scripts;
pub mod search;
pub mod skill;
pub mod statement;
pub mod subscription;
pub mod tools;

pub use organization::Organization;
pub use present::Present;
pub use refusal::{FieldError, Refusal};
