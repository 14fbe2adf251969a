//! No spelling of a closed address reaches it by HTTP. The address classifier itself is tried in `infra`.

use crate::site::Site;
use events::IntegrationKind;
use serde_json::json;
use std::io::ErrorKind;
use std::net::TcpListener;

/// What resolvers and libraries take for this machine, or for an address that nobody outside may reach.
const HOSTS: [&str; 46] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "4294967296",
    "127.127.127.127",
    "0.0.0.0",
    "0",
    "0x0",
    "localhost",
    "LocalHost",
    "localhost.",
    "a.localhost",
    "ip6-localhost.localhost",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "::",
    "::ffff:127.0.0.1",
    "[::ffff:7f00:1]",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::1",
    "fe80::1%lo",
    "fc00::1",
    "169.254.169.254",
    "0251.0376.0251.0376",
    "fd00:ec2::254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "①②⑦.0.0.1",
];

/// Spellings that carry more than a host.
const SMUGGLED: [&str; 8] = [
    "db.example@127.0.0.1",
    "127.0.0.1#db.example",
    "127.0.0.1/db",
    "127.0.0.1:5432",
    "127.0.0.1 sslmode=disable",
    "127.0.0.1,db.example",
    "/var/run/postgresql",
    "127.0.0.1%00.db.example",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_closed_address_is_dialled() {
    // Nothing private is opened here.
    let site = Site::start_with(&[("BINDERY_ALLOW_PRIVATE_HOSTS", "")]).await;
    let listeners: Vec<TcpListener> = match TcpListener::bind("127.0.0.1:0") {
        Ok(first) => {
            let port = first.local_addr().expect("it is bound").port();
            // A machine without IPv6 has nothing there to reach.
            [Some(first), TcpListener::bind(("::1", port)).ok()].into_iter().flatten().collect()
        }
        Err(error) => panic!("a free port: {error}"),
    };
    let port = listeners[0].local_addr().expect("it is bound").port();
    for kind in IntegrationKind::ALL {
        for host in HOSTS.iter().chain(&SMUGGLED) {
            let credentials = json!({ "credentials": {
                "host": host, "port": port, "database": "d", "user": "u", "password": "p",
                "sslmode": "require",
            }});
            let tested = site.http.post(&format!("/integrations/{kind}/sql/test"), credentials.clone()).await;
            let connected = site.http.post(&format!("/integrations/{kind}/connect"), credentials).await;
            if tested.status == 400 {
                assert_eq!(
                    tested.body["errors"][0]["field"], "credentials.host",
                    "{host:?}: {}",
                    tested.body
                );
                assert_eq!(connected.status, 400, "{host:?}: {}", connected.body);
                continue;
            }
            let check = &tested.data()["checks"][0];
            assert_eq!(check["name"], "reachability_tls");
            assert_eq!(check["status"], "failed", "{host:?}: {check}");
            assert!(
                check["detail"].as_str().is_some_and(|detail| detail.contains("host_not_allowed")),
                "{kind} {host:?}: {check}"
            );
            assert_eq!((connected.status, connected.code()), (422, "connection_failed"), "{host:?}");
        }
        let mut skipped = json!({ "skipTest": true });
        skipped["credentials"] = json!({
            "host": "127.0.0.1", "port": port, "database": "d", "user": "u", "password": "p", "sslmode": "require",
        });
        // Stored without a look at it, and refused when it is used.
        site.http.post(&format!("/integrations/{kind}/connect"), skipped).await.data();
        let discovered = site.http.post(&format!("/integrations/{kind}/discover"), json!({})).await;
        assert!(discovered.status >= 400, "{}", discovered.body);
    }
    for listener in &listeners {
        listener.set_nonblocking(true).expect("a listener can be asked without waiting");
        let reached = listener.accept().map(|(_, from)| from);
        assert_eq!(reached.expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    }
}
