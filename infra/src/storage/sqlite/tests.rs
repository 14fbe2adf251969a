mod calls;
mod faults;
mod files;
mod kill;
mod replay;
mod seen;

use super::*;
use crate::storage::conformance::{Backend, Tamper};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tempfile::TempDir;

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    async fn connection(&self) -> SqliteConnection {
        schema::connect(&self.0.path().join(schema::FILE)).await.expect("a connection")
    }
}

crate::storage_conformance!(Sqlite::new());

#[async_trait]
impl Backend for Sqlite {
    type Store = SqliteStore;

    async fn open(&self) -> Arc<SqliteStore> {
        SqliteStore::open(self.0.path()).await.expect("opens")
    }

    async fn tamper(&self, organization: &OrganizationId, tamper: Tamper) {
        let mut connection = self.connection().await;
        for trigger in ["commits_are_never_changed", "commits_are_never_removed", "commits_are_only_appended"]
        {
            let drop = format!("DROP TRIGGER IF EXISTS {trigger}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.expect("dropped");
        }
        let mut changed = 0;
        for (statement, values) in statements(&mut connection, organization, tamper).await {
            let mut query = sqlx::query(statement).bind(organization.as_str());
            for value in values {
                query = match value {
                    Value::Number(number) => query.bind(number),
                    Value::Text(text) => query.bind(text),
                    Value::Bytes(bytes) => query.bind(bytes),
                };
            }
            changed += query.execute(&mut connection).await.expect("tampered").rows_affected();
        }
        assert!(changed > 0, "nothing was changed");
        connection.close().await.expect("closed");
    }
}

enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Statements whose `?1` is the organization.
async fn statements(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    tamper: Tamper,
) -> Vec<(&'static str, Vec<Value>)> {
    let number = |seq: Seq| Value::Number(seq.0 as i64);
    match tamper {
        Tamper::FlipByte(seq) => vec![(
            "UPDATE commits SET body = replace(body, 'acme', 'acmf') WHERE organization = ?1 AND seq = ?2",
            vec![number(seq)],
        )],
        Tamper::ChangeTime(seq) => vec![(
            "UPDATE commits SET recorded_at = recorded_at + 1 WHERE organization = ?1 AND seq = ?2",
            vec![number(seq)],
        )],
        Tamper::Remove(seq) => {
            vec![("DELETE FROM commits WHERE organization = ?1 AND seq = ?2", vec![number(seq)])]
        }
        Tamper::Append(seq) => vec![(
            "INSERT INTO commits (organization, seq, recorded_at, prev_hash, hash, body)
             SELECT organization, seq + 2, recorded_at, hash, hash, body FROM commits
             WHERE organization = ?1 AND seq = ?2",
            vec![number(seq)],
        )],
        Tamper::Insert { after } => {
            let row =
                sqlx::query("SELECT hash, body, recorded_at FROM commits WHERE organization = ? AND seq = ?")
                    .bind(organization.as_str())
                    .bind(after.0 as i64)
                    .fetch_one(connection)
                    .await
                    .expect("the commit before");
            let prev: Vec<u8> = row.get(0);
            let before: String = row.get(1);
            let events: Vec<&serde_json::value::RawValue> = serde_json::from_str(&before).expect("JSON");
            let bytes = events.last().expect("an event").get();
            // As well made as it can be, with a time of its own.
            let time: i64 = row.get::<i64, _>(2) + 1;
            let mut event: serde_json::Value = serde_json::from_str(bytes).expect("JSON");
            event["recordedAt"] = Timestamp::from_microsecond(time).expect("a time").to_string().into();
            let bytes = event.to_string();
            let seq = Seq(after.0 + 1);
            let hash = events::json::chain(
                organization,
                seq,
                prev.as_slice().try_into().expect("a hash"),
                bytes.as_bytes(),
            );
            vec![
                (
                    "UPDATE commits SET seq = -seq - 1 WHERE organization = ?1 AND seq > ?2",
                    vec![number(after)],
                ),
                ("UPDATE commits SET seq = -seq WHERE organization = ?1 AND seq < 0", vec![]),
                (
                    "INSERT INTO commits (organization, seq, prev_hash, recorded_at, hash, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    vec![
                        number(seq),
                        Value::Bytes(prev),
                        Value::Number(time),
                        Value::Bytes(hash.to_vec()),
                        Value::Text(format!("[{bytes}]")),
                    ],
                ),
                ("UPDATE heads SET seq = seq + 1 WHERE organization = ?1", vec![]),
            ]
        }
        Tamper::Swap(one, two) => vec![
            ("UPDATE commits SET seq = -1 WHERE organization = ?1 AND seq = ?2", vec![number(one)]),
            (
                "UPDATE commits SET seq = ?2 WHERE organization = ?1 AND seq = ?3",
                vec![number(one), number(two)],
            ),
            ("UPDATE commits SET seq = ?2 WHERE organization = ?1 AND seq = -1", vec![number(two)]),
        ],
        Tamper::Foreign(other, seq) => vec![(
            "UPDATE commits SET (recorded_at, prev_hash, hash, body) =
             (SELECT recorded_at, prev_hash, hash, body FROM commits WHERE organization = ?3 AND seq = ?2)
             WHERE organization = ?1 AND seq = ?2",
            vec![number(seq), Value::Text(other.to_string())],
        )],
    }
}
