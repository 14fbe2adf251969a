use super::*;
use std::time::Duration;

/// What becomes of a server that answers the request for TLS with these bytes.
async fn answered(answer: &[u8]) -> Option<Fault> {
    let (mut client, mut server) = tokio::io::duplex(64);
    server.write_all(answer).await.unwrap();
    if answer.is_empty() {
        server.shutdown().await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    let outcome = request_tls(&mut client, deadline).await.err().map(|error| error.fault);
    let mut asked = [0; 8];
    server.read_exact(&mut asked).await.unwrap();
    assert_eq!(asked, SSL_REQUEST, "nothing but the request leaves before TLS");
    outcome
}

#[tokio::test]
async fn tls_begins_after_a_single_byte_and_nothing_else() {
    assert_eq!(answered(b"S").await, None);
    assert_eq!(answered(b"S\0").await, Some(Fault::ProtocolViolation));
    assert_eq!(answered(b"SR\0\0\0\x08\0\0\0\0").await, Some(Fault::ProtocolViolation));
    assert_eq!(answered(b"N").await, Some(Fault::TlsRequired));
    assert_eq!(answered(b"N R").await, Some(Fault::TlsRequired));
    assert_eq!(answered(b"E\0\0\0\x10").await, Some(Fault::ServerError));
    assert_eq!(answered(b"HTTP/1.1 400").await, Some(Fault::ProtocolViolation));
    assert_eq!(answered(b"\x4a\0\0\0\x0a5.5.5").await, Some(Fault::ProtocolViolation));
    assert_eq!(answered(b"").await, Some(Fault::ConnectionLost));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_ends_at_the_deadline() {
    let (mut client, _server) = tokio::io::duplex(64);
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = request_tls(&mut client, deadline).await.unwrap_err();
    assert_eq!(error.fault, Fault::ConnectTimeout);
}

#[test]
fn versions_below_thirteen_are_not_served() {
    let version = |text: &str| server_version(text).map(|server| server.version);
    assert_eq!(version("15.8 (Debian 15.8-0+deb12u1)").as_deref(), Some("15.8"));
    assert_eq!(version("18beta1").as_deref(), Some("18"));
    assert_eq!(version("12.22"), None);
    assert_eq!(version("9.6.24"), None);
    assert_eq!(version("<script>"), None);
}
