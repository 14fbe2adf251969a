//! Blocks of call records: how they are written, joined and opened.

use super::super::schema::unavailable;
use crate::storage::StoreError;
use crate::storage::calls::{CallRecord, PART_RECORDS, Part, damaged, read};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::io;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// zstd's fastest but one: records are much alike, and half the time is worth more than a tenth of the size.
const LEVEL: i32 = 1;
/// The compressor's buffer between two blocks, at most.
const ROOM: usize = 1 << 20;
/// So many small blocks of an agent are joined, or fewer that hold enough for a full one: joining takes room for all of
/// them.
const JOINED_AT: i64 = 64;
/// Records of a block that is no small one, as the schema has it.
const LARGE: usize = 1024;

/// Not sqlx's own: where the disk is full SQLite has rolled back by itself, and sqlx would count the transaction as open
/// for as long as the connection lives.
pub(super) struct Transaction(Option<PoolConnection<Sqlite>>);

impl Transaction {
    pub(super) async fn begin(pool: &SqlitePool) -> Result<Self, StoreError> {
        let mut connection = pool.acquire().await.map_err(unavailable)?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(unavailable)?;
        Ok(Self(Some(connection)))
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.0.as_mut().expect("it is there until the end")
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(self.connection()).await.map_err(unavailable)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Transaction {
    /// What failed, or was left in the middle, ends with its connection.
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    owner: i64,
    part: &Part,
    records: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO blocks (owner, first, last, len, in_doubt, keys, records) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(owner)
    .bind(&part.first)
    .bind(&part.last)
    .bind(i64::try_from(part.len).unwrap_or(i64::MAX))
    .bind(part.in_doubt)
    .bind(&part.keys)
    .bind(records)
    .execute(connection)
    .await
    .map(drop)
    .map_err(unavailable)
}

/// Makes few blocks of many small ones, once there are so many or they hold so much.
pub(super) async fn join_small(connection: &mut SqliteConnection, owner: i64) -> Result<(), StoreError> {
    const COUNT: &str = "SELECT count(*), coalesce(sum(len), 0) FROM blocks WHERE owner = ? AND len < 1024";
    const TAKE: &str = "DELETE FROM blocks WHERE owner = ? AND len < 1024 RETURNING first, last, len, in_doubt, keys, records";
    type Taken = (String, String, i64, bool, Vec<u8>, Vec<u8>);
    let (count, records): (i64, i64) =
        sqlx::query_as(COUNT).bind(owner).fetch_one(&mut *connection).await.map_err(unavailable)?;
    if count < JOINED_AT && records < PART_RECORDS as i64 {
        return Ok(());
    }
    let taken: Vec<Taken> =
        sqlx::query_as(TAKE).bind(owner).fetch_all(&mut *connection).await.map_err(unavailable)?;
    let joined = beside(move || {
        let (mut parts, mut left): (Vec<Part>, Vec<(Part, Vec<u8>)>) = Default::default();
        for (first, last, len, in_doubt, keys, records) in taken {
            let len = usize::try_from(len).unwrap_or(PART_RECORDS);
            let part = Part { first, last, len, in_doubt, keys, lines: Vec::new() };
            match (zstd::stream::decode_all(records.as_slice()), parts.last_mut()) {
                (Ok(lines), Some(before)) if before.len + len <= PART_RECORDS => {
                    before.join(Part { lines, ..part })
                }
                (Ok(lines), _) => parts.push(Part { lines, ..part }),
                // A damaged one stays as it is: whoever reads it is told, and nothing else waits for it. It counts as a
                // large one, or all would be taken out again with every batch.
                (Err(_), _) => left.push((Part { len: len.max(LARGE), ..part }, records)),
            }
        }
        for part in parts {
            let records = packed(&part)?;
            left.push((part, records));
        }
        Ok(left)
    });
    for (part, records) in joined.await? {
        insert(&mut *connection, owner, &part, &records).await?;
    }
    Ok(())
}

/// Beside the runtime: a block takes milliseconds, for which no call shall wait.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

pub(super) fn packed(part: &Part) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(&part.lines, LEVEL).map_err(unpackable)
}

fn unpackable(error: io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Compresses one block after the other. What that takes is a megabyte, which is not made anew for each.
pub(super) struct Packer {
    compressor: Compressor<'static>,
    room: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Result<Self, StoreError> {
        let compressor = Compressor::new(LEVEL).map_err(unpackable)?;
        Ok(Self { compressor, room: Vec::new() })
    }

    pub(super) fn packed(&mut self, part: &Part) -> Result<Vec<u8>, StoreError> {
        self.room.reserve(compress_bound(part.lines.len()));
        self.compressor.compress_to_buffer(&part.lines, &mut self.room).map_err(unpackable)?;
        let packed = self.room.clone();
        self.room.clear();
        self.room.shrink_to(ROOM);
        Ok(packed)
    }
}

/// The records of a block that have this word in their line.
pub(super) fn picked(records: &[u8], word: Option<&str>) -> Result<Vec<CallRecord>, StoreError> {
    let lines = zstd::stream::decode_all(records).map_err(|_| damaged())?;
    let lines = str::from_utf8(&lines).map_err(|_| damaged())?;
    let wanted = lines.lines().filter(|line| word.is_none_or(|word| line.contains(word)));
    wanted.map(|line| read(line.as_bytes())).collect()
}
