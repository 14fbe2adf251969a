//! Customers' databases: scripts, tests, connections, schemas, scoping.

pub mod catalog;
pub mod connect;
pub mod credentials;
pub mod disconnect;
pub mod discover;
pub mod discoveries;
pub mod discovery;
pub mod list;
pub mod objects;
pub mod schema;
pub mod scoping_get;
pub mod scoping_patch;
pub mod scripts;
pub mod search;
pub mod test;
pub mod visible;
