//! Credentials that do not work, and how a customer is told.

use super::{body_of, each, text};
use crate::engines::{Engine, engine};
use crate::http::Answer;
use crate::site::Site;
use events::IntegrationKind;
use infra::databases::Credentials;
use infra::secret::Secret;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::TcpListener;

on_both_engines!(
    every_cause_of_a_failure_is_told_by_its_code_and_nothing_is_stored,
    the_checks_pass_for_a_reader_and_warn_of_a_user_who_may_write,
    a_private_host_gets_no_packet_unless_the_operator_opened_it,
    untested_credentials_are_stored_when_asked_and_fail_when_used,
    only_encrypted_modes_are_taken,
);

const CHECKS: [&str; 6] =
    ["reachability_tls", "authentication", "schema_read", "read_probe", "read_only", "latency"];

async fn post(site: &Site, engine: &Engine, path: &str, body: Value) -> Answer {
    site.http.post(&format!("/integrations/{}{path}", engine.kind), body).await
}

/// The first failed check's name with the code in front of its detail; what comes after it was skipped.
fn failure(checks: &Value) -> (String, String) {
    assert_eq!(each(checks, "name"), CHECKS);
    let statuses = each(checks, "status");
    let at = statuses.iter().position(|status| *status == "failed").expect("one failed");
    assert!(statuses[..at].iter().all(|status| *status == "passed"), "{statuses:?}");
    assert!(statuses[at + 1..].iter().all(|status| *status == "skipped"), "{statuses:?}");
    let detail = text(&checks[at]["detail"]);
    let code = detail.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next();
    (CHECKS[at].to_owned(), code.expect("a code").to_owned())
}

async fn every_cause_of_a_failure_is_told_by_its_code_and_nothing_is_stored(kind: IntegrationKind) {
    let (site, engine) = (Site::start().await, engine(kind));
    let reader = engine.reader(&engine.clinic());
    let with = |change: &dyn Fn(&mut Credentials)| {
        let mut changed = reader.clone();
        change(&mut changed);
        changed
    };
    let another_ca = rcgen::generate_simple_self_signed(vec!["another".to_owned()]).expect("a certificate");
    let nobody_listens = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("it is bound").port()
    };
    let cases = [
        (with(&|it| it.password = Secret::new("wrong".to_owned())), "authentication", "auth_failed"),
        (with(&|it| it.user = "nobody".to_owned()), "authentication", "auth_failed"),
        (with(&|it| it.database = "no_such_database".to_owned()), "authentication", "database_missing"),
        (with(&|it| it.ca_pem = Some(another_ca.cert.pem())), "reachability_tls", "tls_untrusted"),
        (with(&|it| it.host = "db.localhost".to_owned()), "reachability_tls", "tls_name_mismatch"),
        (with(&|it| it.port = nobody_listens), "reachability_tls", "connect_refused"),
        (with(&|it| it.host = "10.1.2.3".to_owned()), "reachability_tls", "host_not_allowed"),
        (with(&|it| it.host = "169.254.169.254".to_owned()), "reachability_tls", "host_not_allowed"),
    ];
    for (credentials, check, code) in &cases {
        let tested = post(&site, engine, "/sql/test", body_of(credentials)).await;
        assert_eq!((tested.status, &tested.data()["ok"]), (200, &json!(false)), "{code}");
        let found = failure(&tested.data()["checks"]);
        // MariaDB tells a user without rights on a database no more than that access is denied.
        let database_denied = (found.0.as_str(), found.1.as_str()) == ("authentication", "permission_denied");
        let denied = *code == "database_missing" && kind == IntegrationKind::Mysql && database_denied;
        assert!(denied || found == (check.to_string(), code.to_string()), "{code}: {}", tested.text);
        let refused = post(&site, engine, "/connect", body_of(credentials)).await;
        assert_eq!(refused.refusal(422), "connection_failed", "{code}");
        assert_eq!(failure(&refused.body["checks"]), found, "{code}");
        for answer in [&tested, &refused] {
            assert!(
                !answer.text.contains("FATAL") && !answer.text.contains("Access denied for"),
                "{}",
                answer.text
            );
        }
    }
    assert_eq!(site.http.get("/integrations").await.data(), &json!([]), "nothing was stored");
}

async fn the_checks_pass_for_a_reader_and_warn_of_a_user_who_may_write(kind: IntegrationKind) {
    let (site, engine) = (Site::start().await, engine(kind));
    let clinic = engine.clinic();
    let tested = post(&site, engine, "/sql/test", body_of(&engine.reader(&clinic))).await;
    let report = tested.data();
    assert_eq!((&report["ok"], each(&report["checks"], "name")), (&json!(true), CHECKS.to_vec()));
    assert!(each(&report["checks"], "status").iter().all(|status| *status == "passed"), "{report}");
    assert!(report["latency"]["p95Ms"].as_f64() >= report["latency"]["p50Ms"].as_f64(), "{report}");
    let names = match kind {
        IntegrationKind::Postgres => "PostgreSQL",
        IntegrationKind::Mysql => "MariaDB",
    };
    assert_eq!(report["server"]["engine"], names, "{report}");
    let mut owner = body_of(&engine.owner(&clinic));
    owner["credentials"]["port"] = json!(engine.port.to_string());
    let tested = post(&site, engine, "/sql/test", owner).await;
    assert_eq!(
        tested.data()["ok"],
        true,
        "the port may be text, and a warning is no failure: {}",
        tested.text
    );
    assert_eq!(tested.data()["checks"][4]["status"], "warning");
}

async fn a_private_host_gets_no_packet_unless_the_operator_opened_it(kind: IntegrationKind) {
    let site = Site::start_with(&[("BINDERY_ALLOW_PRIVATE_HOSTS", "")]).await;
    let engine = engine(kind);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let port = listener.local_addr().expect("it is bound").port();
    for host in [
        "127.0.0.1",
        "localhost",
        "db.localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "::1",
        "[::1]",
        "0.0.0.0",
    ] {
        let mut credentials = engine.credentials("clinic", "nobody", "secret");
        (credentials.host, credentials.port) = (host.to_owned(), port);
        let tested = post(&site, engine, "/sql/test", body_of(&credentials)).await;
        let found = failure(&tested.data()["checks"]);
        assert_eq!(found, ("reachability_tls".to_owned(), "host_not_allowed".to_owned()), "{host}");
        let refused = post(&site, engine, "/connect", body_of(&credentials)).await;
        assert_eq!(refused.refusal(422), "connection_failed", "{host}");
        let arrived = listener.accept().map(|_| ()).map_err(|error| error.kind());
        assert_eq!(arrived, Err(ErrorKind::WouldBlock), "{host}: a packet was sent");
    }
}

async fn untested_credentials_are_stored_when_asked_and_fail_when_used(kind: IntegrationKind) {
    let (site, engine) = (Site::start().await, engine(kind));
    let mut credentials = engine.reader(&engine.clinic());
    credentials.password = Secret::new("wrong".to_owned());
    let mut body = body_of(&credentials);
    body["skipTest"] = json!(true);
    let connected = post(&site, engine, "/connect", body).await;
    assert_eq!(connected.data()["status"], "connected");
    let listed = site.http.get("/integrations").await;
    assert_eq!(listed.data()[0]["status"], "connected");
    assert_eq!(listed.data()[0]["connection"]["connectedAt"], connected.data()["connectedAt"]);
    let refused = post(&site, engine, "/discover", json!({})).await;
    assert_eq!(refused.refusal(422), "connection_failed");
    assert!(text(&refused.body["detail"]).starts_with("auth_failed"), "{}", refused.text);
}

async fn only_encrypted_modes_are_taken(kind: IntegrationKind) {
    let (site, engine) = (Site::start().await, engine(kind));
    for mode in ["disable", "prefer", "allow", "", "VERIFY-FULL"] {
        let mut body = body_of(&engine.credentials("clinic", "nobody", "secret"));
        body["credentials"]["sslmode"] = json!(mode);
        for path in ["/sql/test", "/connect"] {
            let refused = post(&site, engine, path, body.clone()).await;
            assert_eq!(refused.refusal(400), "sslmode_not_allowed", "{mode}");
            assert_eq!(each(&refused.body["errors"], "field"), ["credentials.sslmode"]);
        }
    }
}
