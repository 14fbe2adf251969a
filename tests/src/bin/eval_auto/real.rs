//! Real schemas, as a driver reads them from a real engine.

use domain::catalog::Catalog;
use events::IntegrationKind;
use infra::databases::dial::Dialer;
use infra::databases::driver::{Drivers, Session};
use infra::databases::guard::Guard;
use std::path::Path;
use std::sync::Arc;
use tests::engines::engine;
use tests::schemas;

/// `postgresql/northwind` is a file of the folder, `demo/postgres` the sample clinic.
///
/// # Errors
/// One sentence.
pub async fn catalog(name: &str, folder: &Path) -> Result<Catalog, String> {
    let (kind, file) = match name {
        "demo/postgres" => (IntegrationKind::Postgres, None),
        "demo/mysql" => (IntegrationKind::Mysql, None),
        other if other.starts_with("mysql/") => {
            (IntegrationKind::Mysql, Some(folder.join(format!("{other}.sql"))))
        }
        other => (IntegrationKind::Postgres, Some(folder.join(format!("{other}.sql")))),
    };
    let engine = engine(kind);
    let database = match file {
        None => engine.clinic(),
        Some(file) => {
            let database = schemas::database_name(name);
            schemas::load(engine, &database, &file)?;
            database
        }
    };
    let credentials = engine.admin(&database);
    let loopback = "127.0.0.0/8".parse().map_err(|_| "no such network".to_owned())?;
    let drivers = Drivers { dialer: Arc::new(Dialer::new(Guard { allowed: vec![loopback] })) };
    let opened = drivers.open(kind, &credentials, Session::ReadOnly).await;
    let mut connection = opened.map_err(|error| format!("{error:?}"))?;
    connection.introspect(&|_| {}).await.map_err(|error| format!("{error:?}"))
}
