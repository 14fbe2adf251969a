//! What can go wrong on the wire, before it is put into words for a person.

/// The message of an error packet is never kept: it is text of a stranger. Code and SQLSTATE say enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerError {
    pub code: u16,
    /// Absent in errors that are sent before the handshake.
    pub sqlstate: Option<[u8; 5]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server did not answer by the deadline; what was sent may still be running.
    Deadline,
    /// The connection was closed or reset.
    Lost,
    /// Bytes that are not the protocol, or too many of them. Our own words.
    Violation(&'static str),
    /// The server answered with an error.
    Refused(ServerError),
}

pub(super) type Result<T> = std::result::Result<T, Failure>;
