//! sql/test, and ways to log in.

use super::*;
use infra::databases::checks::{CheckName, Status, run_checks};
use infra::secret::Secret;

#[tokio::test]
async fn the_checks_pass_warn_and_fail_where_they_should() {
    let credentials = database(BOOKINGS);
    admin_sql(
        &credentials.database,
        "CREATE ROLE live_reader LOGIN PASSWORD 'r'; \
         CREATE ROLE live_nobody LOGIN PASSWORD 'n'; \
         GRANT SELECT ON bookings TO live_reader",
    );
    let status = async |credentials: &Credentials| {
        let report = run_checks(&drivers(), IntegrationKind::Postgres, credentials).await;
        let statuses: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
        (report.ok, statuses, report.checks)
    };
    use Status::{Failed, Passed, Skipped, Warning};
    let (ok, statuses, _) = status(&credentials).await;
    assert_eq!((ok, statuses), (true, vec![Passed, Passed, Passed, Passed, Warning, Passed]));

    let as_user = |user: &str, password: &str| {
        let mut credentials = credentials.clone();
        credentials.user = user.into();
        credentials.password = Secret::new(password.into());
        credentials
    };
    let (ok, statuses, checks) = status(&as_user("live_reader", "r")).await;
    assert_eq!((ok, statuses), (true, vec![Passed; 6]), "{checks:?}");
    let (ok, statuses, _) = status(&as_user("live_nobody", "n")).await;
    assert_eq!((ok, statuses), (false, vec![Passed, Passed, Failed, Skipped, Skipped, Skipped]));
    let (_, statuses, checks) = status(&as_user("live_reader", "wrong")).await;
    assert_eq!(statuses, [Passed, Failed, Skipped, Skipped, Skipped, Skipped]);
    assert_eq!(checks[1].detail, "auth_failed (SQLSTATE 28P01)");

    let mut elsewhere = credentials.clone();
    elsewhere.database = "no_such_database".into();
    assert_eq!(status(&elsewhere).await.2[1].detail, "database_missing (SQLSTATE 3D000)");
    let mut private = credentials.clone();
    private.host = "10.0.0.1".into();
    assert_eq!(status(&private).await.2[0].detail, "host_not_allowed");
    let mut untrusted = credentials.clone();
    untrusted.ca_pem = None;
    assert_eq!(status(&untrusted).await.2[0].detail, "tls_untrusted");
}

#[tokio::test]
async fn cleartext_and_md5_passwords_are_never_sent() {
    let credentials = database("");
    admin_sql("postgres", "SET password_encryption = 'md5'; CREATE ROLE live_md5 LOGIN PASSWORD 'm'");
    let mut md5 = credentials.clone();
    md5.user = "live_md5".into();
    md5.password = Secret::new("m".into());
    let report = run_checks(&drivers(), IntegrationKind::Postgres, &md5).await;
    assert!(report.checks[1].detail.starts_with("auth_failed"), "{:?}", report.checks[1]);
}
