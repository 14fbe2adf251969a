//! A PgBouncer in transaction mode before the PostgreSQL of this test process. It has two connections to the server for
//! each user and database, so that clients share them.

use super::{postgres, start_with};
use infra::databases::Credentials;
use std::sync::OnceLock;

pub struct Pooler {
    pub port: u16,
    /// The CA of its own certificate.
    ca_pem: String,
}

pub fn pooler() -> &'static Pooler {
    static POOLER: OnceLock<Pooler> = OnceLock::new();
    POOLER.get_or_init(|| {
        let server = postgres();
        let admin = server.admin("postgres");
        let ca = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(ca.path(), &server.ca_pem).expect("it can be written");
        let settings = start_with(
            "pooler",
            &[
                ("POOLED_PORT", &server.port.to_string()),
                ("POOLED_CA", ca.path().to_str().expect("UTF-8")),
                ("POOLED_ADMIN", &admin.user),
                ("POOLED_PASSWORD", admin.password.expose()),
            ],
        );
        let ca_pem =
            std::fs::read_to_string(settings.value("CA_PEM")).expect("the CA's certificate was written");
        Pooler { port: settings.get("POOLER", "PORT").parse().expect("a port"), ca_pem }
    })
}

impl Pooler {
    /// The same database through it.
    pub fn to(&self, credentials: Credentials) -> Credentials {
        Credentials { port: self.port, ca_pem: Some(self.ca_pem.clone()), ..credentials }
    }
}
