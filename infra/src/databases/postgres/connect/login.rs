//! The stream that a login runs over: TLS is done, unsafe ways to ask for the password are cut off.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Tag and length of a message.
const HEADER_BYTES: usize = 5;
/// With the first number in it.
const HEAD_BYTES: usize = 9;
const AUTHENTICATION_OK: u32 = 0;
/// Its first message and the two that follow.
const AUTHENTICATION_SASL: std::ops::RangeInclusive<u32> = 10..=12;

/// The server asked for the password itself, or for a hash that is as good as it.
#[derive(Debug)]
pub(in super::super) struct UnsafeAuthentication;

impl fmt::Display for UnsafeAuthentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the server asked for an unsafe authentication")
    }
}

impl std::error::Error for UnsafeAuthentication {}

/// A TLS stream that fails before the client sees a request for a cleartext or MD5 password.
pub(in super::super) struct Login<S> {
    inner: tokio_rustls::client::TlsStream<S>,
    messages: Messages,
    /// Our side is left open when the client is done with it.
    stays_open: bool,
}

impl<S> Login<S> {
    pub(super) fn new(inner: tokio_rustls::client::TlsStream<S>) -> Self {
        Self { inner, messages: Messages::default(), stays_open: false }
    }

    /// For a cancel, which the client ends by closing its side. PgBouncer 1.18 takes that for somebody who gave up, and
    /// dies of it.
    pub(super) fn staying_open(inner: tokio_rustls::client::TlsStream<S>) -> Self {
        Self { stays_open: true, ..Self::new(inner) }
    }

    /// The process that answered the login, once it has.
    pub(super) fn backend(&self) -> Arc<OnceLock<i32>> {
        self.messages.backend.clone()
    }
}

/// Follows what the server says until it is ready for the first statement.
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    /// Bytes of the message that are of no interest.
    rest: usize,
    are_through: bool,
    backend: Arc<OnceLock<i32>>,
}

impl Messages {
    fn inspect(&mut self, mut received: &[u8]) -> io::Result<()> {
        while !self.are_through && !received.is_empty() {
            let skipped = self.rest.min(received.len());
            self.rest -= skipped;
            received = &received[skipped..];
            let taken = (self.head_bytes() - self.head.len()).min(received.len());
            self.head.extend_from_slice(&received[..taken]);
            received = &received[taken..];
            if self.head.len() >= HEADER_BYTES && self.head.len() == self.head_bytes() {
                self.look()?;
            }
        }
        Ok(())
    }

    /// Of the message itself: its length counts all but the tag.
    fn bytes(&self) -> Option<usize> {
        let (_, length) = self.head.get(..HEADER_BYTES)?.split_first()?;
        Some(1 + u32::from_be_bytes(length.try_into().ok()?) as usize)
    }

    fn head_bytes(&self) -> usize {
        self.bytes().map_or(HEADER_BYTES, |bytes| bytes.clamp(HEADER_BYTES, HEAD_BYTES))
    }

    fn look(&mut self) -> io::Result<()> {
        let number = self.head.get(HEADER_BYTES..).and_then(|number| number.try_into().ok());
        match (self.head[0], number.map(u32::from_be_bytes)) {
            (b'Z', _) => self.are_through = true,
            (b'R', Some(AUTHENTICATION_OK)) => {}
            (b'R', Some(kind)) if AUTHENTICATION_SASL.contains(&kind) => {}
            (b'R', _) => {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, UnsafeAuthentication));
            }
            (b'K', Some(backend)) => drop(self.backend.set(backend.cast_signed())),
            _ => {}
        }
        self.rest = self.bytes().unwrap_or_default().saturating_sub(self.head.len());
        self.head.clear();
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Login<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        Poll::Ready(self.messages.inspect(&buffer.filled()[before..]))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Login<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stays_open {
            return Pin::new(&mut self.inner).poll_flush(context);
        }
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Login<S> {
    /// Ties the password proof to this certificate: who sits in between with another one cannot pass it on.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.inner.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        match certificate.and_then(|certificate| end_point_hash(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

/// RFC 5929: the hash of the certificate by its own signature's hash function, SHA-256 for MD5 and SHA-1. None where
/// the RFC defines nothing, as for Ed25519.
fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    use sha2::Digest;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm.algorithm;
    let is = |among: &[&x509_parser::der_parser::Oid<'_>]| among.contains(&algorithm);
    if is(&[
        &oids::OID_PKCS1_MD5WITHRSAENC,
        &oids::OID_PKCS1_SHA1WITHRSA,
        &oids::OID_PKCS1_SHA256WITHRSA,
        &oids::OID_SIG_ECDSA_WITH_SHA256,
    ]) {
        Some(sha2::Sha256::digest(certificate).to_vec())
    } else if is(&[&oids::OID_PKCS1_SHA384WITHRSA, &oids::OID_SIG_ECDSA_WITH_SHA384]) {
        Some(sha2::Sha384::digest(certificate).to_vec())
    } else if is(&[&oids::OID_PKCS1_SHA512WITHRSA, &oids::OID_SIG_ECDSA_WITH_SHA512]) {
        Some(sha2::Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// The client asks its connector for TLS; ours hands the stream over that has it.
pub(super) struct AlreadySecured;

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<Login<S>> for AlreadySecured {
    type Stream = Login<S>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Login<S>, Self::Error>>;

    fn connect(self, stream: Login<S>) -> Self::Future {
        ready(Ok(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for &mut Login<S> {
    fn channel_binding(&self) -> ChannelBinding {
        (**self).channel_binding()
    }
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> TlsConnect<&'a mut Login<S>> for AlreadySecured {
    type Stream = &'a mut Login<S>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<&'a mut Login<S>, Self::Error>>;

    fn connect(self, stream: &'a mut Login<S>) -> Self::Future {
        ready(Ok(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = (4 + body.len()) as u32;
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    fn answers(messages: &[Vec<u8>], at_once: usize) -> (io::Result<()>, Option<i32>) {
        let mut watched = Messages::default();
        let bytes = messages.concat();
        let seen = bytes.chunks(at_once).try_for_each(|chunk| watched.inspect(chunk));
        (seen, watched.backend.get().copied())
    }

    #[test]
    fn who_answers_is_read_however_the_messages_are_cut() {
        let login = [
            message(b'R', &[0, 0, 0, 10, b'S', 0, 0]),
            message(b'R', &[0, 0, 0, 0]),
            message(b'S', b"a\0\0"),
            message(b'S', b"server_version\x0015\0"),
            message(b'K', &[0, 0, 1, 2, 9, 9, 9, 9]),
            message(b'Z', b"I"),
            // What rows hold is nobody's login.
            message(b'R', &[0, 0, 0, 3]),
        ];
        for at_once in [1, 2, 3, 7, 9, 1000] {
            let (seen, backend) = answers(&login, at_once);
            assert!(seen.is_ok(), "{at_once} bytes at once");
            assert_eq!(backend, Some(258), "{at_once} bytes at once");
        }
    }

    #[test]
    fn a_password_is_not_given_in_clear_whenever_it_is_asked_for() {
        for unsafe_request in [vec![0, 0, 0, 3], vec![0, 0, 0, 5, 1, 2, 3, 4], vec![0, 0]] {
            let asked = message(b'R', &unsafe_request);
            assert!(answers(std::slice::from_ref(&asked), 1).0.is_err(), "{unsafe_request:?}");
            let later = [message(b'R', &[0, 0, 0, 10, 0]), message(b'S', b"a\0\0"), asked];
            assert!(answers(&later, 4).0.is_err(), "{unsafe_request:?}");
        }
    }
}
