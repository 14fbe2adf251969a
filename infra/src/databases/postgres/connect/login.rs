//! The stream that a login runs over: TLS is done, unsafe ways to ask for the password are cut off.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Tag, length and kind of an authentication request.
const REQUEST_BYTES: usize = 9;
const AUTHENTICATION_OK: u32 = 0;
const AUTHENTICATION_SASL: u32 = 10;

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
    /// The server's first message, as far as it is known.
    first: Vec<u8>,
}

impl<S> Login<S> {
    pub(super) fn new(inner: tokio_rustls::client::TlsStream<S>) -> Self {
        Self { inner, first: Vec::with_capacity(REQUEST_BYTES) }
    }

    fn inspect(&mut self, received: &[u8]) -> io::Result<()> {
        let missing = REQUEST_BYTES - self.first.len();
        if missing == 0 || received.is_empty() {
            return Ok(());
        }
        self.first.extend_from_slice(&received[..missing.min(received.len())]);
        match *self.first {
            [b'R', _, _, _, _, a, b, c, d] => match u32::from_be_bytes([a, b, c, d]) {
                AUTHENTICATION_OK | AUTHENTICATION_SASL => Ok(()),
                _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, UnsafeAuthentication)),
            },
            _ => Ok(()),
        }
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
        Poll::Ready(self.inspect(&buffer.filled()[before..]))
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
