use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { issuer: Issuer::new(params, key), pem }
}

/// What a server shows, and the key to it.
struct Shown {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

fn shown(certificate: &rcgen::Certificate, key: &KeyPair) -> Shown {
    Shown {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        pem: certificate.pem(),
    }
}

fn again(shown: &Shown) -> Shown {
    Shown { certificate: shown.certificate.clone(), key: shown.key.clone_key(), pem: shown.pem.clone() }
}

fn leaf(ca: &Ca, adjust: impl FnOnce(&mut CertificateParams)) -> Shown {
    let mut params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "db.example");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    shown(&params.signed_by(&key, &ca.issuer).unwrap(), &key)
}

fn serve(shown: Shown, stream: DuplexStream) {
    let config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.certificate], shown.key)
        .unwrap();
    tokio::spawn(async move {
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            stream.write_all(b"hello").await.ok();
            stream.shutdown().await.ok();
        }
    });
}

/// None when the handshake went through and bytes arrive.
async fn outcome(shown: Shown, host: &str, mode: SslMode, ca_pem: Option<&str>) -> Option<DatabaseError> {
    let (client, server) = tokio::io::duplex(64 * 1024);
    serve(shown, server);
    let deadline = Instant::now() + Duration::from_secs(5);
    match handshake(client, host, mode, ca_pem, deadline).await {
        Ok(mut stream) => {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello");
            None
        }
        Err(error) => Some(error),
    }
}

async fn faults(make: impl Fn() -> Shown, host: &str, ca_pem: Option<&str>) -> [Option<Fault>; 3] {
    let mut faults = [None; 3];
    for (fault, mode) in faults.iter_mut().zip(SslMode::ALL) {
        *fault = outcome(make(), host, mode, ca_pem).await.map(|error| error.fault);
    }
    faults
}

const TRUSTED: [Option<Fault>; 3] = [None, None, None];

#[tokio::test]
async fn a_good_certificate_passes_in_every_mode() {
    let ca = ca("ours");
    let good = || leaf(&ca, |_| {});
    assert_eq!(faults(good, "db.example", Some(&ca.pem)).await, TRUSTED);
    assert_eq!(faults(good, "DB.example.", Some(&ca.pem)).await, TRUSTED);
}

#[tokio::test]
async fn require_takes_any_certificate_and_the_others_only_public_ones() {
    let ca = ca("ours");
    let untrusted = Some(Fault::TlsUntrusted);
    assert_eq!(faults(|| leaf(&ca, |_| {}), "db.example", None).await, [None, untrusted, untrusted]);
}

#[tokio::test]
async fn a_given_ca_is_the_only_one_that_counts_even_with_require() {
    let (ours, theirs) = (ca("ours"), ca("theirs"));
    let foreign = || leaf(&theirs, |_| {});
    assert_eq!(faults(foreign, "db.example", Some(&ours.pem)).await, [Some(Fault::TlsUntrusted); 3]);
    let both = format!("{}{}", ours.pem, theirs.pem);
    assert_eq!(faults(foreign, "db.example", Some(&both)).await, TRUSTED);
}

#[tokio::test]
async fn only_verify_full_compares_the_name() {
    let ca = ca("ours");
    let mismatch = [None, None, Some(Fault::TlsNameMismatch)];
    assert_eq!(faults(|| leaf(&ca, |_| {}), "other.example", Some(&ca.pem)).await, mismatch);
    assert_eq!(faults(|| leaf(&ca, |_| {}), "192.0.2.1", Some(&ca.pem)).await, mismatch);
}

#[tokio::test]
async fn a_common_name_alone_is_not_compared_and_the_advice_says_what_is_missing() {
    let ca = ca("ours");
    let bare = || leaf(&ca, |params| params.subject_alt_names.clear());
    assert_eq!(faults(bare, "db.example", Some(&ca.pem)).await, [None, None, Some(Fault::TlsNameMismatch)]);
    let error = outcome(bare(), "db.example", SslMode::VerifyFull, Some(&ca.pem)).await.unwrap();
    assert!(error.advice.contains("subjectAltName"), "{}", error.advice);
}

#[tokio::test]
async fn addresses_and_wildcards_are_compared_as_names_are() {
    let ca = ca("ours");
    let by_address = || {
        leaf(&ca, |params| params.subject_alt_names = vec![SanType::IpAddress("192.0.2.7".parse().unwrap())])
    };
    assert_eq!(faults(by_address, "192.0.2.7", Some(&ca.pem)).await, TRUSTED);
    let mismatch = [None, None, Some(Fault::TlsNameMismatch)];
    assert_eq!(faults(by_address, "192.0.2.8", Some(&ca.pem)).await, mismatch);
    let wildcard = || {
        leaf(&ca, |params| {
            params.subject_alt_names = vec![SanType::DnsName("*.db.example".try_into().unwrap())]
        })
    };
    assert_eq!(faults(wildcard, "a.db.example", Some(&ca.pem)).await, TRUSTED);
    assert_eq!(faults(wildcard, "b.a.db.example", Some(&ca.pem)).await, mismatch);
}

#[tokio::test]
async fn certificates_out_of_their_time_are_refused_wherever_a_ca_is_given() {
    let ca = ca("ours");
    let expired = || leaf(&ca, |params| params.not_after = date_time_ymd(2020, 1, 1));
    assert_eq!(faults(expired, "db.example", Some(&ca.pem)).await, [Some(Fault::TlsExpired); 3]);
    let early = || leaf(&ca, |params| params.not_before = date_time_ymd(2999, 1, 1));
    assert_eq!(faults(early, "db.example", Some(&ca.pem)).await, [Some(Fault::TlsExpired); 3]);
}

#[tokio::test]
async fn a_certificate_for_another_purpose_is_refused() {
    let ca = ca("ours");
    let client =
        || leaf(&ca, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(faults(client, "db.example", Some(&ca.pem)).await, [Some(Fault::TlsUntrusted); 3]);
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_the_one_given() {
    for is_ca in [true, false] {
        let mut params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let mismatch = [None, None, Some(Fault::TlsNameMismatch)];
        // Signed once and shown again and again: another signature would be another certificate.
        let kept = shown(&params.self_signed(&key).unwrap(), &key);
        assert_eq!(faults(|| again(&kept), "db.example", Some(&kept.pem)).await, TRUSTED, "ca: {is_ca}");
        assert_eq!(faults(|| again(&kept), "other.example", Some(&kept.pem)).await, mismatch);
        let stranger = ca("theirs").pem;
        let untrusted = [Some(Fault::TlsUntrusted); 3];
        assert_eq!(faults(|| again(&kept), "db.example", Some(&stranger)).await, untrusted);

        params.not_after = date_time_ymd(2020, 1, 1);
        let old = shown(&params.self_signed(&key).unwrap(), &key);
        let again =
            || Shown { certificate: old.certificate.clone(), key: old.key.clone_key(), pem: String::new() };
        assert_eq!(faults(again, "db.example", Some(&old.pem)).await, [Some(Fault::TlsExpired); 3]);
    }
}

#[tokio::test]
async fn a_server_without_the_certificates_key_is_refused_even_with_require() {
    let ca = ca("ours");
    let mut stolen = leaf(&ca, |_| {});
    stolen.key = leaf(&ca, |_| {}).key;
    let (client, server) = tokio::io::duplex(64 * 1024);
    // rustls would not serve a key that does not fit, so the certificate is resolved without that check.
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&stolen.key).unwrap();
    let certified = Arc::new(rustls::sign::CertifiedKey::new(vec![stolen.certificate], key));
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(server));
    let deadline = Instant::now() + Duration::from_secs(5);
    let error = handshake(client, "db.example", SslMode::Require, None, deadline).await.err().unwrap();
    assert_eq!(error.fault, Fault::TlsUntrusted);
}

/// A client that offers post-quantum keys sends more than a kilobyte before it reads.
const HELLO: usize = 64 * 1024;

#[tokio::test]
async fn bytes_that_are_no_tls_and_silence_are_told_apart() {
    let (client, mut server) = tokio::io::duplex(HELLO);
    server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let soon = || Instant::now() + Duration::from_secs(5);
    let error = handshake(client, "db.example", SslMode::Require, None, soon()).await.err().unwrap();
    assert_eq!(error.fault, Fault::ProtocolViolation);

    let (client, server) = tokio::io::duplex(HELLO);
    drop(server);
    let error = handshake(client, "db.example", SslMode::Require, None, soon()).await.err().unwrap();
    assert_eq!(error.fault, Fault::ConnectionLost);

    let (client, _silent) = tokio::io::duplex(HELLO);
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = handshake(client, "db.example", SslMode::Require, None, deadline).await.err().unwrap();
    assert_eq!(error.fault, Fault::ConnectTimeout);
}

#[test]
fn a_ca_that_cannot_be_read_is_told_at_once() {
    assert_eq!(parse_ca(&ca("ours").pem).map(|certificates| certificates.len()), Ok(1));
    let key = KeyPair::generate().unwrap().serialize_pem();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unfinished = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    for pem in ["", "no pem", key.as_str(), broken, unfinished] {
        assert!(parse_ca(pem).is_err_and(|advice| advice.ends_with('.')), "{pem:?}");
    }
}
