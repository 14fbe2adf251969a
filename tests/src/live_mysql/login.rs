//! Who may log in, how, and what the session may do.

use super::*;
use events::integration::SslMode;
use infra::databases::driver::Phase;
use infra::databases::error::Fault;
use infra::secret::Secret;

async fn refused(credentials: &Credentials) -> (Phase, Fault) {
    let error = open(credentials, Session::ReadOnly).await.err().expect("the connection is refused");
    (error.phase, error.error.fault)
}

#[tokio::test]
async fn every_tls_mode_opens_a_session_and_says_who_answers() {
    let good = database("");
    let told = admin_sql(&good, "SELECT VERSION()");
    for (sslmode, ca_pem) in [
        (SslMode::Require, None),
        (SslMode::Require, good.ca_pem.clone()),
        (SslMode::VerifyCa, good.ca_pem.clone()),
        (SslMode::VerifyFull, good.ca_pem.clone()),
    ] {
        let mut connection = read_only(&Credentials { sslmode, ca_pem, ..good.clone() }).await;
        let info = connection.server();
        assert_eq!(info.engine, "MariaDB");
        assert_eq!(told.split('-').next(), Some(info.version.as_str()));
        assert!(connection.ping().await.unwrap() < Duration::from_secs(1));
        connection.close().await;
    }
}

#[tokio::test]
async fn a_refused_connection_says_in_which_phase_and_why() {
    let good = database("");
    let wrong_password = Credentials { password: Secret::new("wrong".into()), ..good.clone() };
    assert_eq!(refused(&wrong_password).await, (Phase::Authentication, Fault::AuthFailed));
    let no_database = Credentials { database: "nowhere".into(), ..good.clone() };
    assert_eq!(refused(&no_database).await, (Phase::Authentication, Fault::DatabaseMissing));
    let public_ca = Credentials { ca_pem: None, ..good.clone() };
    assert_eq!(refused(&public_ca).await, (Phase::ReachabilityTls, Fault::TlsUntrusted));
}

#[tokio::test]
async fn an_ed25519_account_logs_in_after_a_change_of_plugin() {
    let mut login = clinic();
    admin_sql(
        &login,
        &format!(
            "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519';
             CREATE USER edward IDENTIFIED VIA ed25519 USING PASSWORD('sEcret 1') REQUIRE SSL;
             GRANT SELECT ON {}.* TO edward",
            login.database
        ),
    );
    login.user = "edward".into();
    login.password = Secret::new("sEcret 1".into());
    let mut connection = read_only(&login).await;
    assert_eq!(connection.probe_read().await.unwrap().as_deref(), Some("appointments"));
    assert_eq!(connection.count_objects().await.unwrap(), 10);
    let proof = connection.prove_read_only().await.unwrap();
    assert_eq!((proof.refused_with, proof.role_can_write), (Some(*b"42000"), false));
    login.password = Secret::new("sEcret 2".into());
    assert_eq!(refused(&login).await, (Phase::Authentication, Fault::AuthFailed));
}

#[tokio::test]
async fn a_read_only_session_is_proven_and_a_role_that_could_write_is_told() {
    let admin = database("CREATE TABLE t (id INT PRIMARY KEY)");
    let proof = read_only(&admin).await.prove_read_only().await.unwrap();
    assert_eq!((proof.refused_with, proof.role_can_write), (Some(*b"25006"), true));
    let proof = writer(&admin).await.prove_read_only().await.unwrap();
    assert_eq!(proof.refused_with, None);
}
