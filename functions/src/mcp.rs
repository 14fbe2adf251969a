//! The Model Context Protocol: an agent's published skills as tools. The SDK speaks both of its lives, that of
//! handshakes (up to 2025-11-25) and that without (2026-07-28); nothing is kept here between two requests, so any
//! process can answer any of them.

pub mod answer;
mod context;
pub mod listen;
mod plain;
mod result;
mod server;
mod watch;

use http::HeaderName;

/// Names the revision that the rest of a request follows.
const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
