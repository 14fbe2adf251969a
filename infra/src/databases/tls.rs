//! TLS to customers' databases. There is no way to a connection without it.
//!
//! | mode | chain | name |
//! |---|---|---|
//! | `require` without a CA | not verified | not compared |
//! | `require` with a CA, `verify-ca` | given CA alone, else the public ones | not compared |
//! | `verify-full` | the same | must be among the certificate's subjectAltNames |
//!
//! The signature of the handshake is verified in every mode, so the peer holds the key of what it shows.

mod verifier;

#[cfg(test)]
mod tests;

use super::DatabaseError;
use super::error::Fault;
use super::guard::Host;
use events::integration::SslMode;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;
use verifier::Verifier;

/// One crypto provider, named here, so that no other crate's default decides.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// A configuration holds the tickets of earlier sessions: pool refills resume instead of starting over.
static CONFIGS: LazyLock<Mutex<BTreeMap<ConfigKey, Arc<ClientConfig>>>> = LazyLock::new(Mutex::default);

/// Configurations kept at once; each holds a CA and up to 256 session tickets.
const CONFIGS_MAX: usize = 512;

type ConfigKey = (SslMode, Option<[u8; 32]>);

/// The certificates of a PEM text.
///
/// # Errors
/// One sentence for the field `ca_pem`.
pub fn parse_ca(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| {
            "This is not PEM text; paste the CA certificate with its BEGIN and END lines.".to_owned()
        })?;
    if certificates.is_empty() {
        return Err(
            "The text holds no certificate; it must have a BEGIN CERTIFICATE and an END CERTIFICATE line."
                .into(),
        );
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|_| {
            "A certificate in the text cannot be read; it is damaged or of an unknown form.".to_owned()
        })?;
    }
    Ok(certificates)
}

/// Runs the handshake over a socket that was dialled for `host`.
///
/// # Errors
/// `TlsUntrusted`, `TlsNameMismatch`, `TlsExpired`, `TlsRequired`, `ConnectTimeout`, `ConnectionLost`,
/// `ProtocolViolation`.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    sslmode: SslMode,
    ca_pem: Option<&str>,
    deadline: Instant,
) -> Result<TlsStream<S>, DatabaseError> {
    let config = config(sslmode, ca_pem).map_err(|advice| DatabaseError::new(Fault::TlsUntrusted, advice))?;
    let name = server_name(host).map_err(|advice| DatabaseError::new(Fault::HostNotAllowed, advice))?;
    match timeout_at(deadline.into(), TlsConnector::from(config).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(classify(&error)),
        Err(_elapsed) => Err(DatabaseError::new(
            Fault::ConnectTimeout,
            "The server did not finish the TLS handshake in time. Check that the port is the database's own.",
        )),
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    match Host::parse(host)? {
        Host::Address(address) => Ok(ServerName::IpAddress(address.into())),
        Host::Name(name) => ServerName::try_from(name)
            .map_err(|_| "The host is not a name that a certificate can carry.".into()),
    }
}

fn config(sslmode: SslMode, ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let key = (sslmode, ca_pem.map(|pem| Sha256::digest(pem.as_bytes()).into()));
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = configs.get(&key) {
        return Ok(config.clone());
    }
    let config = Arc::new(build(verifier(sslmode, ca_pem)?)?);
    if configs.len() >= CONFIGS_MAX {
        configs.clear();
    }
    configs.insert(key, config.clone());
    Ok(config)
}

fn verifier(sslmode: SslMode, ca_pem: Option<&str>) -> Result<Verifier, String> {
    let check_name = match sslmode {
        SslMode::Require if ca_pem.is_none() => return Ok(Verifier::encrypt_only(PROVIDER.clone())),
        SslMode::Require | SslMode::VerifyCa => false,
        SslMode::VerifyFull => true,
    };
    let mut roots = RootCertStore::empty();
    let given = match ca_pem {
        Some(pem) => parse_ca(pem)?,
        None => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Vec::new()
        }
    };
    roots.add_parsable_certificates(given.iter().cloned());
    Ok(Verifier::chain(PROVIDER.clone(), roots, given, check_name))
}

fn build(verifier: Verifier) -> Result<ClientConfig, String> {
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
    let config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| "This build supports neither TLS 1.2 nor 1.3.".to_owned())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn classify(error: &io::Error) -> DatabaseError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => classify_tls(error),
        None if error.kind() == io::ErrorKind::FileTooLarge => DatabaseError::new(
            Fault::ProtocolViolation,
            "The server sent far more than a TLS handshake needs. Check that the port is the database's own.",
        ),
        None => DatabaseError::new(
            Fault::ConnectionLost,
            "The server closed the connection during the TLS handshake. Check its TLS settings and its log.",
        ),
    }
}

fn classify_tls(error: &rustls::Error) -> DatabaseError {
    match error {
        rustls::Error::InvalidCertificate(error) => classify_certificate(error),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => DatabaseError::new(
            Fault::TlsRequired,
            "The server offers no TLS version and cipher that are safe. Enable TLS 1.2 or 1.3 on it.",
        ),
        rustls::Error::AlertReceived(_) => DatabaseError::new(
            Fault::TlsRequired,
            "The server broke off the TLS handshake. Its log says why; a client certificate is not supported.",
        ),
        _ => DatabaseError::new(
            Fault::ProtocolViolation,
            "The server's answer to the TLS handshake is not TLS. Check that the port is the database's own.",
        ),
    }
}

fn classify_certificate(error: &CertificateError) -> DatabaseError {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => DatabaseError::new(
            Fault::TlsExpired,
            "The server's certificate, or its CA's, has expired. Renew it on the server.",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => DatabaseError::new(
            Fault::TlsExpired,
            "The server's certificate is not valid yet. Check the dates it was issued with.",
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            DatabaseError::new(
                Fault::TlsNameMismatch,
                "The server's certificate lacks a subjectAltName; a common name alone is not compared. Issue it anew with \
             the host as subjectAltName, or use verify-ca.",
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            DatabaseError::new(
                Fault::TlsNameMismatch,
                "The server's certificate is for another host. Use a host that it names, or verify-ca.",
            )
        }
        CertificateError::UnknownIssuer => DatabaseError::new(
            Fault::TlsUntrusted,
            "The server's certificate does not come from the given CA, or, without one, from a public CA. Give the \
             CA's certificate as ca_pem.",
        ),
        _ => DatabaseError::new(
            Fault::TlsUntrusted,
            "The server's certificate cannot be trusted: its signature, purpose or form is not acceptable. Issue it \
             anew with SHA-256 as a version 3 certificate for server authentication; a server that shows a CA \
             certificate as its own needs exactly that one as ca_pem.",
        ),
    }
}
