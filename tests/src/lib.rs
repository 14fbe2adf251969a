//! What the tests and the sample story share.

pub mod engines;
pub mod http;
pub mod site;
pub mod story;

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod clinic;
#[cfg(test)]
mod live_mysql;
#[cfg(test)]
mod live_postgres;
#[cfg(test)]
mod local_story;
#[cfg(test)]
mod reviewed;
#[cfg(test)]
mod tls_matrix;
