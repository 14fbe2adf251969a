//! Certificates, good ones and those that must not be taken.

use super::server::Inside;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, NameConstraints, SanType, SignatureAlgorithm,
};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

/// The host that the customer connects to, by our own nameserver.
pub const HOST: &str = "db.customer.example";

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    pub pem: String,
}

/// What a server shows, and the key to it.
pub struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// Of the first certificate.
    pub pem: String,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

pub fn ca(name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params(name);
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Ca { pem: certificate.pem(), certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

/// A CA that another one vouches for.
pub fn intermediate(root: &Ca, adjust: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params("intermediate");
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &root.issuer).unwrap();
    Ca { pem: certificate.pem(), certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

pub fn permits_only(params: &mut CertificateParams, domain: &str) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
        excluded_subtrees: Vec::new(),
    });
}

pub fn excludes(params: &mut CertificateParams, domain: &str) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: Vec::new(),
        excluded_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
    });
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, HOST);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub fn leaf(ca: &Ca, adjust: impl FnOnce(&mut CertificateParams)) -> Shown {
    leaf_for(ca, KeyPair::generate().unwrap(), adjust)
}

pub fn leaf_of(ca: &Ca, algorithm: &'static SignatureAlgorithm) -> Shown {
    leaf_for(ca, KeyPair::generate_for(algorithm).unwrap(), |_| {})
}

fn leaf_for(ca: &Ca, key: KeyPair, adjust: impl FnOnce(&mut CertificateParams)) -> Shown {
    let mut params = leaf_params();
    adjust(&mut params);
    shown(&params.signed_by(&key, &ca.issuer).unwrap(), &key)
}

pub fn self_signed(adjust: impl FnOnce(&mut CertificateParams)) -> Shown {
    let mut params = leaf_params();
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    shown(&params.self_signed(&key).unwrap(), &key)
}

/// A server's own certificate, and another one that it signed with the same key as if it were a CA.
pub fn signed_by_a_leaf(ca: &Ca) -> Shown {
    let (params, key) = (leaf_params(), KeyPair::generate().unwrap());
    let first = params.signed_by(&key, &ca.issuer).unwrap();
    let no_ca = Ca { pem: first.pem(), certificate: first.der().clone(), issuer: Issuer::new(params, key) };
    leaf(&no_ca, |_| {}).and(&no_ca)
}

fn shown(certificate: &rcgen::Certificate, key: &KeyPair) -> Shown {
    Shown {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        pem: certificate.pem(),
    }
}

pub fn names(params: &mut CertificateParams, names: &[&str]) {
    let name = |name: &&str| match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName((*name).try_into().unwrap()),
    };
    params.subject_alt_names = names.iter().map(name).collect();
}

impl Shown {
    /// With another certificate behind the first.
    pub fn and(mut self, ca: &Ca) -> Self {
        self.chain.push(ca.certificate.clone());
        self
    }

    pub fn with_key_of(mut self, other: Shown) -> Self {
        self.key = other.key;
        self
    }

    pub fn served(self) -> Inside {
        self.served_by(tokio_rustls::rustls::ALL_VERSIONS)
    }

    pub fn served_by(self, versions: &[&'static SupportedProtocolVersion]) -> Inside {
        // Not with_single_cert, which would refuse a key that does not fit.
        let key = aws_lc_rs::sign::any_supported_type(&self.key).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(self.chain, key));
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        Inside::Tls(Arc::new(config))
    }
}

/// What rcgen does not make: a certificate of a given hash, from a CA and for a server with RSA keys of given bits.
/// The folder holds `ca.pem`, `server.pem` and `server.key`.
pub fn by_openssl(digest: &str, ca_bits: u32, server_bits: u32) -> Arc<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[req]\ndistinguished_name = name\n[name]\n[ca]\nbasicConstraints = critical, CA:true\n\
         [server]\nsubjectAltName = DNS:{HOST}\nextendedKeyUsage = serverAuth\n"
    );
    std::fs::write(folder.path().join("config"), config).unwrap();
    let run = |arguments: String| {
        let done = Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output();
        let done = done.expect("openssl is installed");
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let new = "-config config -nodes -newkey";
    run(format!(
        "req -x509 {new} rsa:{ca_bits} -subj /CN=ca -extensions ca -days 30 -keyout ca.key -out ca.pem"
    ));
    run(format!("req {new} rsa:{server_bits} -subj /CN={HOST} -keyout server.key -out server.csr"));
    run(format!(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -{digest} -days 30 -extfile config \
         -extensions server -out server.pem"
    ));
    Arc::new(folder)
}

pub fn ca_pem(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("ca.pem")).unwrap()
}

pub fn from_folder(folder: &TempDir) -> Shown {
    Shown {
        chain: vec![CertificateDer::from_pem_file(folder.path().join("server.pem")).unwrap()],
        key: PrivateKeyDer::from_pem_file(folder.path().join("server.key")).unwrap(),
        pem: String::new(),
    }
}
