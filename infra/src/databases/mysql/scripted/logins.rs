//! Logins as MySQL 8 and MariaDB lead them, and those that nobody should take part in.

use super::super::connect::{greet, log_in, settle};
use super::super::link::Link;
use super::super::packets::Greeting;
use super::*;
use crate::databases::DatabaseError;
use crate::databases::error::Fault;
use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;

const SHA2: &str = "caching_sha2_password";

/// Runs a login against a script, which gets the client's first answer.
async fn login<F: Future<Output = Peer>>(
    plugin: &str,
    script: impl FnOnce(Peer, Vec<u8>) -> F,
) -> (Result<Link, DatabaseError>, Vec<u8>) {
    let (client, budget, mut peer) = pipe();
    let greeting = Greeting::parse(greeting("8.0.36", true, plugin)).unwrap();
    let credentials = credentials();
    let client = log_in(Box::new(client), budget, &greeting, &credentials);
    let server = async {
        let (sequence, response) = peer.take().await;
        assert_eq!(sequence, 2);
        script(peer, response).await
    };
    let (outcome, peer) = tokio::join!(client, server);
    // A refused client has hung up; one that is in still holds the pipe.
    let rest = if outcome.is_err() { peer.rest().await } else { Vec::new() };
    (outcome, rest)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn caching_sha2_password_with_a_cached_hash_never_sends_the_password() {
    let (outcome, _) = login(SHA2, |mut peer, response| async move {
        let scramble = scramble_sha256(NONCE, PASSWORD.as_bytes()).unwrap();
        assert!(contains(&response, &scramble));
        assert!(contains(&response, b"agent\0") && contains(&response, b"shop\0"));
        assert!(contains(&response, b"program_name\x07bindery"));
        assert!(!contains(&response, PASSWORD.as_bytes()));
        let capabilities = u32::from_le_bytes(response[..4].try_into().unwrap());
        assert_eq!(capabilities & 0x0000_0080, 0, "LOCAL_FILES");
        assert_eq!(capabilities & 0x0001_0000, 0, "MULTI_STATEMENTS");
        assert_ne!(capabilities & 0x0000_0002, 0, "FOUND_ROWS");
        peer.give(3, &[1, 3]).await;
        peer.give(4, OK).await;
        peer
    })
    .await;
    outcome.unwrap();
}

#[tokio::test]
async fn caching_sha2_password_without_a_cached_hash_sends_the_password_inside_tls() {
    let (outcome, _) = login(SHA2, |mut peer, _| async move {
        peer.give(3, &[1, 4]).await;
        let (sequence, password) = peer.take().await;
        assert_eq!((sequence, password), (4, format!("{PASSWORD}\0").into_bytes()));
        peer.give(5, OK).await;
        peer
    })
    .await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_server_with_another_default_switches_to_the_accounts_own_plugin() {
    for (plugin, nonce, length) in [
        ("mysql_native_password", b"ABCDEFGHIJKLMNOPQRST\0".as_slice(), 20),
        (SHA2, b"ABCDEFGHIJKLMNOPQRST\0".as_slice(), 32),
        ("client_ed25519", [7; 32].as_slice(), 64),
    ] {
        let (outcome, _) = login("dialog", |mut peer, _| async move {
            let mut switch = vec![0xFE];
            switch.extend_from_slice(plugin.as_bytes());
            switch.push(0);
            switch.extend_from_slice(nonce);
            peer.give(3, &switch).await;
            let (sequence, answer) = peer.take().await;
            assert_eq!((sequence, answer.len()), (4, length), "{plugin}");
            peer.give(5, OK).await;
            peer
        })
        .await;
        outcome.unwrap();
    }
}

#[tokio::test]
async fn plugins_that_give_the_password_away_are_refused_without_a_byte() {
    for plugin in ["mysql_clear_password", "dialog", "sha256_password", "mysql_old_password", "parsec", "x"] {
        let (outcome, rest) = login(SHA2, |mut peer, _| async move {
            let mut switch = vec![0xFE];
            switch.extend_from_slice(plugin.as_bytes());
            switch.push(0);
            peer.give(3, &switch).await;
            peer
        })
        .await;
        assert_eq!(outcome.err().unwrap().fault, Fault::AuthFailed, "{plugin}");
        assert!(rest.is_empty(), "{plugin}");
    }
    let (outcome, rest) = login(SHA2, |mut peer, _| async move {
        peer.give(3, &[0xFE]).await;
        peer
    })
    .await;
    assert_eq!(outcome.err().unwrap().fault, Fault::AuthFailed);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn an_rsa_key_from_the_server_is_not_asked_for_and_not_used() {
    let (outcome, rest) = login(SHA2, |mut peer, _| async move {
        peer.give(3, b"\x01-----BEGIN PUBLIC KEY-----").await;
        peer
    })
    .await;
    assert_eq!(outcome.err().unwrap().fault, Fault::ProtocolViolation);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn logins_that_go_in_circles_end() {
    let (outcome, _) = login(SHA2, |mut peer, _| async move {
        let switch = [&[0xFE], b"mysql_native_password\0".as_slice(), NONCE, &[0]].concat();
        peer.give(3, &switch).await;
        peer.take().await;
        peer.give(5, &switch).await;
        peer
    })
    .await;
    assert_eq!(outcome.err().unwrap().fault, Fault::ProtocolViolation);

    let (outcome, _) = login(SHA2, |mut peer, _| async move {
        for sequence in 3..40 {
            peer.give(sequence, &[1, 3]).await;
        }
        peer
    })
    .await;
    assert_eq!(outcome.err().unwrap().fault, Fault::ProtocolViolation);
}

#[tokio::test]
async fn a_refused_login_carries_no_text_of_the_server() {
    let (outcome, _) = login(SHA2, |mut peer, _| async move {
        peer.give(3, &error(1045, "Access denied; call +1 555 0100")).await;
        peer
    })
    .await;
    let error = outcome.err().unwrap();
    assert_eq!(error.fault, Fault::AuthFailed);
    assert!(!error.advice.contains("555"));
}

/// What comes before TLS.
async fn before_tls(first: Vec<u8>) -> (Result<Greeting, DatabaseError>, Vec<u8>) {
    let (mut client, _, mut peer) = pipe();
    peer.0.write_all(&first).await.unwrap();
    let outcome = greet(&mut client).await;
    drop(client);
    (outcome, peer.rest().await)
}

#[tokio::test]
async fn the_only_bytes_in_clear_are_the_demand_for_tls() {
    let (outcome, sent) = before_tls(packet(0, &greeting("8.0.36", true, SHA2))).await;
    assert_eq!(outcome.unwrap().nonce, NONCE);
    assert_eq!(sent.len(), 4 + 32);
    assert_eq!((sent[3], sent[12]), (1, 45));
    assert_eq!(sent[5] & 0x08, 0x08, "CLIENT_SSL");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_byte() {
    let (outcome, sent) = before_tls(packet(0, &greeting("8.0.36", false, SHA2))).await;
    assert_eq!(outcome.err().unwrap().fault, Fault::TlsRequired);
    assert!(sent.is_empty());
}

#[tokio::test]
async fn bytes_stuffed_in_before_tls_are_a_violation() {
    let mut first = packet(0, &greeting("8.0.36", true, SHA2));
    first.extend_from_slice(&packet(2, OK));
    let (outcome, sent) = before_tls(first).await;
    assert_eq!(outcome.err().unwrap().fault, Fault::ProtocolViolation);
    assert!(sent.is_empty());
}

#[tokio::test]
async fn a_full_server_says_so_before_its_greeting() {
    let (outcome, _) = before_tls(packet(0, b"\xFF\x10\x04Too many connections, call 555")).await;
    let error = outcome.err().unwrap();
    assert_eq!((error.fault, error.sqlstate), (Fault::TooManyConnections, None));
    assert!(!error.advice.contains("555"));
}

#[tokio::test]
async fn mangled_greetings_never_panic() {
    let whole = greeting("8.0.36", true, SHA2);
    for length in 0..whole.len() {
        let _ = Greeting::parse(whole[..length].to_vec());
    }
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut mangled = whole.clone();
            mangled[at] = byte;
            let _ = Greeting::parse(mangled);
        }
    }
    for first in [
        packet(1, &whole),
        packet(0, &vec![10; 5000]),
        packet(0, b"HTTP/1.1 400 Bad Request"),
        packet(0, b""),
    ] {
        let (outcome, sent) = before_tls(first).await;
        assert_eq!(outcome.err().unwrap().fault, Fault::ProtocolViolation);
        assert!(sent.is_empty());
    }
}

/// The settings that a server of this version is sent, and how the session calls it.
async fn settled(version: &str, session: Session) -> (String, Result<Engine, Fault>) {
    let (client, budget, mut peer) = pipe();
    let mut link = Link::new(Wire::new(Box::new(client), budget, 0, soon()));
    let server = async {
        peer.prepare(0, 3).await;
        peer.rows(3, &[text_row(&[version, "9", "here 1"])]).await;
        let (_, closed) = peer.take().await;
        assert_eq!(closed[0], 0x19);
        peer.run().await
    };
    let client = settle(&mut link, session);
    tokio::select! {
        text = async { let (text, outcome) = tokio::join!(server, client); (text, outcome) } =>
            (text.0, text.1.map(|(_, engine)| engine).map_err(|error| error.fault)),
    }
}

#[tokio::test]
async fn mysql_and_mariadb_are_each_set_by_their_own_variables() {
    let (text, engine) = settled("8.0.36", Session::ReadOnly).await;
    assert_eq!(engine, Ok(Engine::MySql));
    for setting in [
        "SESSION transaction_read_only = 1",
        "SESSION max_execution_time = 5000",
        "SESSION autocommit = 1",
        "SESSION time_zone = '+00:00'",
        "SESSION lock_wait_timeout = 1",
        "SESSION innodb_lock_wait_timeout = 1",
    ] {
        assert!(text.contains(setting), "{setting}");
    }
    let (text, engine) = settled("10.11.6-MariaDB-log", Session::ReadWrite).await;
    assert_eq!(engine, Ok(Engine::MariaDb));
    for setting in ["SESSION tx_read_only = 0", "SESSION max_statement_time = 5", "SESSION autocommit = 0"] {
        assert!(text.contains(setting), "{setting}");
    }
}

#[tokio::test]
async fn old_servers_are_turned_away_with_advice() {
    let (client, budget, mut peer) = pipe();
    let mut link = Link::new(Wire::new(Box::new(client), budget, 0, soon()));
    let server = async {
        peer.prepare(0, 3).await;
        peer.rows(3, &[text_row(&["5.7.44-log", "9", "here 1"])]).await;
    };
    let (outcome, ()) = tokio::join!(settle(&mut link, Session::ReadOnly), server);
    let error = outcome.err().unwrap();
    assert_eq!(error.fault, Fault::ServerError);
    assert!(error.advice.contains("MySQL 8.0"));
}
