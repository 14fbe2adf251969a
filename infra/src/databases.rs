//! Customers' databases: one guarded way to dial, one driver for each kind.

pub mod afterwards;
pub mod checks;
pub mod dial;
pub mod driver;
pub mod error;
mod flights;
pub mod guard;
mod json_size;
pub mod mysql;
pub mod pool;
pub mod postgres;
mod resolver;
pub mod socket;
pub mod tls;

pub use driver::{Connection, Credentials, Plan, Reader, Rows, ServerInfo, Session, Written};
pub use error::DatabaseError;
