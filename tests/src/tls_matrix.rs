//! What a server may show before it is told who logs in: both drivers, every mode of TLS, servers of many kinds.
//!
//! A refused server must not have got one byte after the handshake, and neither user, database nor password at all.

mod certificates;
mod rows;
mod server;

use certificates::HOST;
use events::IntegrationKind;
use events::integration::SslMode;
use infra::databases::dial::Dialer;
use infra::databases::driver::{Drivers, OpenError, Phase};
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::{Credentials, Session};
use infra::secret::Secret;
use rows::{Row, rows};
use server::{COMPLAINT, Inside, Opening, Server, Told, nameserver};
use std::sync::Arc;

/// Each of them must not be found in what a refused server got.
const USER: &str = "u53r-of-bindery";
const DATABASE: &str = "d4t4b453-of-bindery";
const PASSWORD: &str = "p455w0rd-of-bindery";

async fn drivers() -> Drivers {
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
    Drivers { dialer: Arc::new(Dialer::with_nameservers(guard, &[nameserver().await])) }
}

/// The outcome of logging in to the server, and what it was told.
async fn attempt(
    drivers: &Drivers,
    kind: IntegrationKind,
    server: &Server,
    host: &str,
    sslmode: SslMode,
    ca_pem: Option<&str>,
) -> (OpenError, Told) {
    let (port, served) = server.start(kind).await;
    let credentials = Credentials {
        host: host.to_owned(),
        port,
        database: DATABASE.to_owned(),
        user: USER.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        sslmode,
        ca_pem: ca_pem.map(str::to_owned),
    };
    let opened = drivers.open(kind, &credentials, Session::ReadOnly).await;
    let error = opened.err().expect("nobody can log in to a server that only speaks TLS");
    (error, served.await.expect("the server saw what it expected"))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What is wrong, if anything: `None` is expected to be let in as far as the login.
fn judged(expected: Option<Fault>, error: &OpenError, told: &Told) -> Result<(), String> {
    if let Some(secret) = [USER, DATABASE, PASSWORD].iter().find(|secret| contains(&told.wire, secret)) {
        return Err(format!("{secret} went over the wire in clear"));
    }
    if contains(&told.inside, PASSWORD) {
        return Err("the password itself was sent".to_owned());
    }
    let right = match expected {
        None => error.phase == Phase::Authentication && contains(&told.inside, USER),
        Some(fault) => {
            let silent = ![USER, DATABASE].iter().any(|secret| contains(&told.inside, secret));
            (error.phase, error.error.fault) == (Phase::ReachabilityTls, fault) && silent
        }
    };
    if right { Ok(()) } else { Err(format!("{error:?} after {} bytes inside of TLS", told.inside.len())) }
}

async fn wrong_of_the_matrix(kind: IntegrationKind, rows: &[Row]) -> Vec<String> {
    let drivers = drivers().await;
    let mut wrong = Vec::new();
    for Row { name, host, inside, ca_pem, expected } in rows {
        let server = Server { opening: Opening::Offers, inside: inside.clone() };
        let ca_pem = Some(ca_pem.as_str());
        let modes = [
            (SslMode::Require, None),
            (SslMode::Require, ca_pem),
            (SslMode::VerifyCa, ca_pem),
            (SslMode::VerifyFull, ca_pem),
        ];
        for ((sslmode, ca_pem), expected) in modes.into_iter().zip(expected) {
            let (error, told) = attempt(&drivers, kind, &server, host, sslmode, ca_pem).await;
            let given = if ca_pem.is_some() { "with a CA" } else { "without a CA" };
            let mut verdict = judged(*expected, &error, &told);
            // OpenSSL prints more than what it was sent.
            let counted = matches!(inside, Inside::Tls(_) | Inside::Bytes(_) | Inside::HangsUp);
            if expected.is_some() && counted && !told.inside.is_empty() {
                verdict = Err(format!("{} bytes came after the handshake", told.inside.len()));
            }
            if let Err(reason) = verdict {
                wrong.push(format!("{kind}: {name}, {sslmode:?} {given}, expected {expected:?}: {reason}"));
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_to_servers_that_prove_themselves_and_others_are_told_nothing() {
    let rows = rows();
    assert!(rows.len() >= 60, "{}", rows.len());
    let (on_postgres, on_mysql) = tokio::join!(
        wrong_of_the_matrix(IntegrationKind::Postgres, &rows),
        wrong_of_the_matrix(IntegrationKind::Mysql, &rows),
    );
    let wrong = [on_postgres, on_mysql].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_private_ca_that_was_not_given_is_not_trusted() {
    let drivers = drivers().await;
    let ca = certificates::ca("ours", |_| {});
    let server = Server { opening: Opening::Offers, inside: certificates::leaf(&ca, |_| {}).served() };
    for kind in IntegrationKind::ALL {
        for sslmode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            let (error, told) = attempt(&drivers, kind, &server, HOST, sslmode, None).await;
            assert_eq!(judged(Some(Fault::TlsUntrusted), &error, &told), Ok(()), "{kind:?} {sslmode:?}");
            assert!(told.inside.is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_come_to_tls_learns_nothing_and_its_words_are_not_repeated() {
    let drivers = drivers().await;
    let ca = certificates::ca("ours", |_| {});
    let inside = certificates::leaf(&ca, |_| {}).served();
    for kind in IntegrationKind::ALL {
        // All that leaves before TLS: the request for it on PostgreSQL, where the client begins.
        let first = match kind {
            IntegrationKind::Postgres => 8,
            IntegrationKind::Mysql => 0,
        };
        let complained = match kind {
            IntegrationKind::Postgres => Fault::ServerError,
            IntegrationKind::Mysql => Fault::AuthFailed,
        };
        let openings = [
            (Opening::Declines, Fault::TlsRequired),
            (Opening::Stuffs, Fault::ProtocolViolation),
            (Opening::Complains, complained),
        ];
        for (opening, fault) in openings {
            let server = Server { opening, inside: inside.clone() };
            for sslmode in SslMode::ALL {
                let (error, told) =
                    attempt(&drivers, kind, &server, HOST, sslmode, Some(ca.pem.as_str())).await;
                assert_eq!(judged(Some(fault), &error, &told), Ok(()), "{kind:?} {opening:?} {sslmode:?}");
                assert_eq!(told.wire.len(), first, "{kind:?} {opening:?}");
                assert!(!error.error.advice.contains(COMPLAINT), "{error:?}");
            }
        }
    }
}
