//! The servers of the matrix, and what becomes of a login to each.

use super::certificates::{
    HOST, by_openssl, ca, ca_pem, excludes, from_folder, intermediate, leaf, leaf_of, names, permits_only,
    self_signed, signed_by_a_leaf,
};
use super::server::{Inside, wants_a_client_certificate};
use infra::databases::error::Fault;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, date_time_ymd,
};
use tokio_rustls::rustls::version::{TLS12, TLS13};

pub struct Row {
    pub name: &'static str,
    pub host: &'static str,
    pub inside: Inside,
    /// What the customer gives as `ca_pem`.
    pub ca_pem: String,
    /// In the modes `require` without and with the CA, `verify-ca`, `verify-full`; None is a login.
    pub expected: [Option<Fault>; 4],
}

const TRUSTED: [Option<Fault>; 4] = [None; 4];
const WRONG_NAME: [Option<Fault>; 4] = [None, None, None, Some(Fault::TlsNameMismatch)];
const UNTRUSTED: [Option<Fault>; 4] = encrypted_only(Fault::TlsUntrusted);
const EXPIRED: [Option<Fault>; 4] = encrypted_only(Fault::TlsExpired);
const NO_TLS: [Option<Fault>; 4] = [Some(Fault::TlsRequired); 4];

/// `require` without a CA takes any certificate; whoever gives a CA is told.
const fn encrypted_only(fault: Fault) -> [Option<Fault>; 4] {
    [None, Some(fault), Some(fault), Some(fault)]
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    names_of_servers(&mut rows);
    times(&mut rows);
    chains(&mut rows);
    purposes(&mut rows);
    self_signed_ones(&mut rows);
    keys_and_hashes(&mut rows);
    versions(&mut rows);
    no_servers(&mut rows);
    rows
}

fn names_of_servers(rows: &mut Vec<Row>) {
    let ca = ca("ours", |_| {});
    let mut row = |name, host, in_it: &[&str], expected| {
        let inside = leaf(&ca, |params| names(params, in_it)).served();
        rows.push(Row { name, host, inside, ca_pem: ca.pem.clone(), expected });
    };
    row("the host among others", HOST, &["a.example", HOST, "z.example"], TRUSTED);
    row("the host in capitals", "DB.Customer.Example.", &[HOST], TRUSTED);
    row("another host", HOST, &["db.another.example"], WRONG_NAME);
    row("a common name alone", HOST, &[], WRONG_NAME);
    row("a name that only begins alike", HOST, &["db.customer.example.evil.example"], WRONG_NAME);
    row("the parent domain", HOST, &["customer.example"], WRONG_NAME);
    row("a wildcard", HOST, &["*.customer.example"], TRUSTED);
    row("a wildcard one level too high", HOST, &["*.example"], WRONG_NAME);
    row("a wildcard one level too low", HOST, &["*.db.customer.example"], WRONG_NAME);
    row("a wildcard within a label", HOST, &["d*.customer.example"], WRONG_NAME);
    row("the address", "127.0.0.1", &["127.0.0.1"], TRUSTED);
    row("another address", "127.0.0.1", &["127.0.0.2"], WRONG_NAME);
    row("a name, asked by the address", "127.0.0.1", &[HOST], WRONG_NAME);
    row("the address, asked by the name", HOST, &["127.0.0.1"], WRONG_NAME);
}

fn times(rows: &mut Vec<Row>) {
    let root = ca("ours", |_| {});
    let mut row = |name, inside, ca_pem: &str, expected| {
        rows.push(Row { name, host: HOST, inside, ca_pem: ca_pem.to_owned(), expected });
    };
    let old = leaf(&root, |params| params.not_after = date_time_ymd(2020, 1, 1));
    row("expired", old.served(), &root.pem, EXPIRED);
    let old = leaf(&root, |params| params.not_after = date_time_ymd(2020, 1, 1));
    row("expired, TLS 1.2", old.served_by(&[&TLS12]), &root.pem, EXPIRED);
    let early = leaf(&root, |params| params.not_before = date_time_ymd(2999, 1, 1));
    row("not yet valid", early.served(), &root.pem, EXPIRED);
    let between = intermediate(&root, |params| params.not_after = date_time_ymd(2020, 1, 1));
    row("an intermediate that expired", leaf(&between, |_| {}).and(&between).served(), &root.pem, EXPIRED);
    // RFC 5280 leaves a trust anchor's dates out of the validation: the customer gave it, and it is what they meant.
    let anchor = ca("anchor", |params| params.not_after = date_time_ymd(2020, 1, 1));
    row("a given CA that expired", leaf(&anchor, |_| {}).served(), &anchor.pem, TRUSTED);
}

fn chains(rows: &mut Vec<Row>) {
    let (root, other) = (ca("ours", |_| {}), ca("theirs", |_| {}));
    let mut row = |name, inside, ca_pem: String, expected| {
        rows.push(Row { name, host: HOST, inside, ca_pem, expected });
    };
    let own = || root.pem.clone();
    row("good", leaf(&root, |_| {}).served(), own(), TRUSTED);
    row("from another CA", leaf(&other, |_| {}).served(), own(), UNTRUSTED);
    row("from another CA that is sent along", leaf(&other, |_| {}).and(&other).served(), own(), UNTRUSTED);
    let namesake = ca("ours", |_| {});
    row("from a CA of the same name", leaf(&namesake, |_| {}).served(), own(), UNTRUSTED);
    let both = format!("{}{}", other.pem, root.pem);
    row("from the second of two given CAs", leaf(&root, |_| {}).served(), both, TRUSTED);
    let between = intermediate(&root, |_| {});
    row("an intermediate", leaf(&between, |_| {}).and(&between).served(), own(), TRUSTED);
    row("an intermediate that is not sent", leaf(&between, |_| {}).served(), own(), UNTRUSTED);
    row("an intermediate given as the CA", leaf(&between, |_| {}).served(), between.pem.clone(), TRUSTED);
    row("signed by a certificate that is no CA", signed_by_a_leaf(&root).served(), own(), UNTRUSTED);
    let short = intermediate(&root, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let too_far = intermediate(&short, |_| {});
    let beyond = leaf(&too_far, |_| {}).and(&too_far).and(&short).served();
    row("an intermediate below one that allows none", beyond, own(), UNTRUSTED);
    let inside = ca("inside", |params| permits_only(params, "customer.example"));
    row("a CA for this domain", leaf(&inside, |_| {}).served(), inside.pem.clone(), TRUSTED);
    let outside = ca("outside", |params| permits_only(params, "another.example"));
    row("a CA for another domain", leaf(&outside, |_| {}).served(), outside.pem.clone(), UNTRUSTED);
    let without = ca("without", |params| excludes(params, "customer.example"));
    row("a CA for all but this domain", leaf(&without, |_| {}).served(), without.pem.clone(), UNTRUSTED);
    let stolen = leaf(&root, |_| {}).with_key_of(leaf(&root, |_| {}));
    row("somebody else's certificate", stolen.served(), own(), [Some(Fault::TlsUntrusted); 4]);
    let stolen = leaf(&root, |_| {}).with_key_of(leaf(&root, |_| {})).served_by(&[&TLS12]);
    row("somebody else's certificate, TLS 1.2", stolen, own(), [Some(Fault::TlsUntrusted); 4]);
}

fn purposes(rows: &mut Vec<Row>) {
    let ca = ca("ours", |_| {});
    let mut row = |name, inside, expected| {
        rows.push(Row { name, host: HOST, inside, ca_pem: ca.pem.clone(), expected });
    };
    let client = leaf(&ca, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    row("for clients", client.served(), UNTRUSTED);
    let mail =
        leaf(&ca, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection]);
    row("for mail", mail.served(), UNTRUSTED);
    row("for any purpose", leaf(&ca, |params| params.extended_key_usages.clear()).served(), TRUSTED);
    let as_ca = leaf(&ca, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    row("a CA's certificate as the server's own", as_ca.served(), UNTRUSTED);
    // Not even the signature of the handshake is verified with a certificate that cannot be understood.
    let critical = leaf(&ca, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    row("with a critical extension that nobody knows", critical.served(), [Some(Fault::TlsUntrusted); 4]);
}

fn self_signed_ones(rows: &mut Vec<Row>) {
    let stranger = ca("theirs", |_| {});
    let mut row = |name, make: &dyn Fn(&mut rcgen::CertificateParams), given, expected| {
        let shown = self_signed(make);
        let ca_pem = if given { shown.pem.clone() } else { stranger.pem.clone() };
        rows.push(Row { name, host: HOST, inside: shown.served(), ca_pem, expected });
    };
    row("self-signed and given", &|_| {}, true, TRUSTED);
    row("self-signed and not given", &|_| {}, false, UNTRUSTED);
    row("self-signed, given, for another host", &|params| names(params, &["a.example"]), true, WRONG_NAME);
    let expired = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    row("self-signed, given, expired", &expired, true, EXPIRED);
}

fn keys_and_hashes(rows: &mut Vec<Row>) {
    let ca = ca("ours", |_| {});
    let kinds = [
        ("an RSA key of 2048 bits", &PKCS_RSA_SHA256),
        ("a P-384 key", &PKCS_ECDSA_P384_SHA384),
        ("an Ed25519 key", &PKCS_ED25519),
    ];
    for (name, algorithm) in kinds {
        let inside = leaf_of(&ca, algorithm).served();
        rows.push(Row { name, host: HOST, inside, ca_pem: ca.pem.clone(), expected: TRUSTED });
    }
    let made = [
        ("made by OpenSSL", "sha256", 2048, TRUSTED),
        ("signed over SHA-1", "sha1", 2048, UNTRUSTED),
        ("signed over MD5", "md5", 2048, UNTRUSTED),
        ("signed by a CA with a key of 1024 bits", "sha256", 1024, UNTRUSTED),
    ];
    for (name, digest, ca_bits, expected) in made {
        let folder = by_openssl(digest, ca_bits, 2048);
        let inside = from_folder(&folder).served();
        rows.push(Row { name, host: HOST, inside, ca_pem: ca_pem(&folder), expected });
    }
    let weak = by_openssl("sha256", 2048, 1024);
    let serve: &[&str] = &["-cert", "server.pem", "-key", "server.key", "-cipher", "DEFAULT@SECLEVEL=0"];
    rows.push(Row {
        name: "a server's key of 1024 bits",
        host: HOST,
        ca_pem: ca_pem(&weak),
        inside: Inside::OpenSsl(weak, serve),
        // The handshake itself is signed with it.
        expected: [Some(Fault::TlsUntrusted); 4],
    });
}

fn versions(rows: &mut Vec<Row>) {
    let ca = ca("ours", |_| {});
    for (name, version) in [("TLS 1.2 alone", &TLS12), ("TLS 1.3 alone", &TLS13)] {
        let inside = leaf(&ca, |_| {}).served_by(&[version]);
        rows.push(Row { name, host: HOST, inside, ca_pem: ca.pem.clone(), expected: TRUSTED });
    }
    let folder = by_openssl("sha256", 2048, 2048);
    let old: [(&str, &[&str]); 4] = [
        (
            "TLS 1.1 alone",
            &["-cert", "server.pem", "-key", "server.key", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        ),
        (
            "TLS 1.0 alone",
            &["-cert", "server.pem", "-key", "server.key", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        ),
        (
            "a cipher without forward secrecy",
            &["-cert", "server.pem", "-key", "server.key", "-tls1_2", "-cipher", "AES128-SHA256:@SECLEVEL=0"],
        ),
        ("no certificate at all", &["-nocert", "-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"]),
    ];
    for (name, arguments) in old {
        let inside = Inside::OpenSsl(folder.clone(), arguments);
        rows.push(Row { name, host: HOST, inside, ca_pem: ca_pem(&folder), expected: NO_TLS });
    }
    let inside = wants_a_client_certificate(leaf(&ca, |_| {}), &ca);
    rows.push(Row {
        name: "a server that wants a client certificate",
        host: HOST,
        inside,
        ca_pem: ca.pem.clone(),
        expected: NO_TLS,
    });
}

fn no_servers(rows: &mut Vec<Row>) {
    let ca = ca("ours", |_| {});
    let bytes = |bytes: &'static [u8]| Inside::Bytes(bytes);
    let odd = [
        (
            "a server that goes on in clear",
            bytes(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            Fault::ProtocolViolation,
        ),
        ("a web server", bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Fault::ProtocolViolation),
        ("a fatal alert: no such version", bytes(b"\x15\x03\x01\0\x02\x02\x46"), Fault::TlsRequired),
        ("a fatal alert: handshake failure", bytes(b"\x15\x03\x03\0\x02\x02\x28"), Fault::TlsRequired),
        ("a record longer than TLS has", bytes(b"\x16\x03\x03\xff\xff"), Fault::ProtocolViolation),
        ("a server that hangs up", Inside::HangsUp, Fault::ConnectionLost),
    ];
    for (name, inside, fault) in odd {
        rows.push(Row { name, host: HOST, inside, ca_pem: ca.pem.clone(), expected: [Some(fault); 4] });
    }
}
