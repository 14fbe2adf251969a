//! The endpoints. Each declares itself once; the router, the OpenAPI document and the authorization tests follow
//! from the list.

pub mod body;
pub mod caller;
pub mod calls;
pub mod changes;
pub mod clock;
pub mod config;
pub mod decide;
pub mod endpoint;
pub mod endpoints;
pub mod grants;
pub mod idempotency;
pub mod key_text;
#[cfg(feature = "aws")]
pub mod lambda;
pub mod log;
pub mod mcp;
pub mod openapi;
pub mod operator;
pub mod pages;
pub mod problem;
pub mod random;
pub mod rate;
#[cfg(feature = "aws")]
pub mod reactions;
pub mod respond;
pub mod router;
#[cfg(feature = "aws")]
pub mod sam;
pub mod server;
pub mod services;
#[cfg(all(test, feature = "aws"))]
mod shells;
pub mod start;
pub mod telemetry;
pub mod to_the_end;

pub mod agents;
pub mod history;
pub mod integrations;
pub mod keys;
pub mod skills;
pub mod subscriptions;
