//! What the tests and the sample story share.

// Tables of cases are wide, and a name for each row's type would be read once.
#![allow(clippy::type_complexity)]

#[cfg(feature = "aws")]
pub mod aws;
pub mod built;
pub mod cutter;
pub mod engines;
pub mod http;
pub mod schemas;
pub mod site;
pub mod story;

#[cfg(test)]
mod audit;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod auto;
#[cfg(all(test, feature = "aws"))]
mod bus;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod citext;
#[cfg(test)]
mod clinic;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod dice;
#[cfg(all(test, feature = "aws"))]
mod doorbells;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod granted;
#[cfg(test)]
mod isolation;
#[cfg(all(test, feature = "aws"))]
mod lambda_discoveries;
#[cfg(all(test, feature = "aws"))]
mod lambda_story;
#[cfg(all(test, feature = "aws"))]
mod lambda_streaming;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod live_mysql;
#[cfg(test)]
mod live_postgres;
#[cfg(test)]
mod local_story;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod names;
#[cfg(test)]
mod network_faults;
#[cfg(test)]
mod openapi;
#[cfg(all(test, feature = "aws"))]
mod outages;
#[cfg(test)]
mod rebuilding;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod reviewed;
#[cfg(test)]
mod shared_reads;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod tls_matrix;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod writes;
