//! The file: who may read it, how it is opened, and its tables.

use crate::storage::StoreError;
use crate::storage::replay::PAGE;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const FILE: &str = "bindery.db";

/// How long a statement waits for another process's transaction, which lasts milliseconds.
const BUSY: Duration = Duration::from_secs(5);
/// Reads that run at the same time; more only queue for the two disks' worth of cores behind them.
const READERS: u32 = 4;
/// KiB that a connection keeps of the file, as SQLite spells it; the system keeps it too. By default it is 2 MB each.
const CACHE: &str = "-500";

/// Each step brings a file from version `index` to `index + 1`. A step that has shipped never changes.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// Creates what is missing and brings an older file up to date.
pub async fn prepare(data_dir: &Path) -> Result<PathBuf, StoreError> {
    let path = data_dir.join(FILE);
    // Two that turn a new file's journal into a write-ahead log get in each other's way, and SQLite does not wait for
    // that. The folder is locked and not the file: closing a file lets go of SQLite's own locks on it.
    let _turn = tokio::task::spawn_blocking({
        let (data_dir, path) = (data_dir.to_owned(), path.clone());
        move || {
            create_folder(&data_dir)?;
            let folder = File::open(&data_dir)?;
            folder.lock()?;
            create_file(&path)?;
            Ok::<_, std::io::Error>(folder)
        }
    })
    .await
    .map_err(|_| StoreError::Unavailable("preparing the file was given up".to_owned()))?
    .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    let mut connection = connect(&path).await?;
    migrate(&mut connection).await?;
    connection.close().await.map_err(unavailable)?;
    Ok(path)
}

fn create_folder(data_dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)
}

/// SQLite gives its `-wal` and `-shm` files the mode of the database file.
pub fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    if layout(connection).await? == STEPS.len() {
        return Ok(());
    }
    // Two processes may open a new file at once; the second finds the work done.
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(unavailable)?;
    let done = layout(connection).await?;
    for step in &STEPS[done..] {
        sqlx::raw_sql(*step).execute(&mut *connection).await.map_err(unavailable)?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await.map_err(unavailable)?;
    Ok(())
}

/// Steps that the file has seen.
async fn layout(connection: &mut SqliteConnection) -> Result<usize, StoreError> {
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(unavailable)?;
    usize::try_from(version).ok().filter(|done| *done <= STEPS.len()).ok_or_else(|| {
        let known = STEPS.len();
        let reason =
            format!("the file has layout {version} and this release knows {known}: a newer one wrote it");
        StoreError::Unavailable(reason)
    })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged commit survives a power cut, not only a crash of the process.
        .synchronous(SqliteSynchronous::Full)
        // Deleted credentials and answers are overwritten with zeros in the file.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY)
        .pragma("cache_size", CACHE)
        .disable_statement_logging()
}

pub async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    SqliteConnection::connect_with(&options(path)).await.map_err(unavailable)
}

pub async fn readers(path: &Path) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(BUSY)
        // A reader's thread fetches a page of the log ahead without waiting for whoever takes its rows.
        .connect_with(options(path).pragma("query_only", "ON").row_buffer_size(PAGE))
        .await
        .map_err(unavailable)
}

/// What SQLite says of a file that it cannot read is corruption; everything else is that it cannot be asked now.
pub fn unavailable(error: sqlx::Error) -> StoreError {
    const CORRUPT: u32 = 11;
    const NOT_A_DATABASE: u32 = 26;
    let primary = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    match primary {
        Some(CORRUPT | NOT_A_DATABASE) => {
            StoreError::Corrupt { seq: events::Seq(0), reason: format!("the file is damaged: {error}") }
        }
        Some(_) | None => StoreError::Unavailable(error.to_string()),
    }
}
