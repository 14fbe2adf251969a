//! What somebody does who has the store itself in hand, and how it is found.

use super::Story;
#[cfg(feature = "aws")]
use crate::aws::Cloud;
use crate::built;
use functions::start::embedded::KEY_FILE;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use std::path::Path;
use std::process::{Command, Output};

/// Of a data folder.
const LOG: &str = "bindery.db";
/// What builds the program.
const BUILD: &str = "run: make build-tested (make test does)";

pub enum Hands<'a> {
    /// A data folder. What is changed is a copy, for its server goes on.
    Folder(&'a Path),
    /// The tables of a deployment. What is changed is put back.
    #[cfg(feature = "aws")]
    Tables(&'a Cloud),
}

/// Other words in one event, which is alone in its commit.
pub(super) struct Forgery<'f> {
    pub seq: u64,
    pub was: &'f str,
    pub becomes: &'f str,
}

impl Hands<'_> {
    pub(super) fn can_sign(&self) -> bool {
        match self {
            Hands::Folder(_) => true,
            #[cfg(feature = "aws")]
            Hands::Tables(_) => false,
        }
    }

    pub(super) async fn forge(&self, story: &Story<'_>, forgery: &Forgery<'_>, kept: Option<&Value>) {
        match self {
            Hands::Folder(folder) => in_a_copy(folder, story, forgery, kept.expect("it was signed")).await,
            #[cfg(feature = "aws")]
            Hands::Tables(cloud) => tables::in_place(cloud, story, forgery).await,
        }
    }
}

async fn in_a_copy(folder: &Path, story: &Story<'_>, forgery: &Forgery<'_>, kept: &Value) {
    let copy = tempfile::tempdir().expect("a temporary folder");
    let file = copy.path().join(LOG);
    let mut live = open(&folder.join(LOG)).await;
    let copied = sqlx::query("VACUUM INTO ?").bind(file.to_str().expect("UTF-8")).execute(&mut live).await;
    copied.expect("SQLite copies a file that is written to");
    live.close().await.expect("it was only read");
    std::fs::copy(folder.join(KEY_FILE), copy.path().join(KEY_FILE)).expect("copied");
    let checkpoint = copy.path().join("checkpoint.json");
    std::fs::write(&checkpoint, kept.to_string()).expect("written");
    let verify = || {
        story.teller.remark("$ bindery audit verify --data-dir COPY --checkpoint checkpoint.json");
        let organization = kept["organization"].as_str().expect("an organization");
        let output = Command::new(built::program("bindery", BUILD))
            .env_clear()
            .args(["audit", "verify", "--organization", organization, "--checkpoint"])
            .arg(&checkpoint)
            .arg("--data-dir")
            .arg(copy.path())
            .output();
        let output = output.expect("the program runs");
        let said = said(&output);
        for line in said.lines() {
            story.teller.line(line);
        }
        (output.status.success(), said)
    };
    story.teller.remark("… on a copy of the data folder, so that the server goes on. First as it is:");
    let (holds, said) = verify();
    assert!(holds && said.contains(&format!("extends the checkpoint at event {}", kept["seq"])), "{said}");

    let mut thief = open(&file).await;
    let Forgery { seq, was, becomes } = forgery;
    let update = format!("UPDATE commits SET body = replace(body, '{was}', '{becomes}') WHERE seq = {seq}");
    story.teller.remark(&format!("sqlite> {update};"));
    let refused = thief.execute(sqlx::AssertSqlSafe(update.clone())).await.expect_err("a trigger refuses it");
    let refused = refused.as_database_error().expect("an answer of SQLite").message().to_owned();
    story.teller.line(&refused);
    assert_eq!(refused, "the log is append-only");
    story.teller.remark("sqlite> DROP TRIGGER commits_are_never_changed; and again:");
    thief.execute("DROP TRIGGER commits_are_never_changed").await.expect("the file's owner may");
    let changed = thief.execute(sqlx::AssertSqlSafe(update)).await.expect("nothing refuses it any more");
    assert_eq!(changed.rows_affected(), 1);
    thief.close().await.expect("written");

    let (holds, said) = verify();
    assert!(!holds && said.contains(&format!("not to be believed from event {seq} on")), "{said}");
}

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.expect("the file opens")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[cfg(feature = "aws")]
mod tables {
    use super::{Cloud, Forgery, Story};
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue;
    use infra::emulators;
    use infra::storage::dynamodb::tables::{PARTITION, SORT, TableName};
    use serde_json::Value;
    use std::collections::HashMap;

    type Item = HashMap<String, AttributeValue>;

    pub async fn in_place(cloud: &Cloud, story: &Story<'_>, forgery: &Forgery<'_>) {
        let client = Client::new(&emulators::sdk_config(&emulators::dynamodb().url).await);
        let table = cloud.resources.names.table(TableName::Commits);
        let sort = format!("C#{:020}", forgery.seq);
        let found = client.scan().table_name(&table).consistent_read(true).send().await.expect("scans");
        let mut of_position = found.items.unwrap_or_default().into_iter();
        let item = of_position.find(|item| item[SORT] == AttributeValue::S(sort.clone()));
        let item = item.expect("the commit is there");
        // What is not in the views yet would be read from the falsified log, which the projector refuses.
        cloud.projected(&item[PARTITION].as_s().expect("an organization").as_str().into()).await;
        put(&client, &table, forged(&item, forgery)).await;
        let Forgery { seq, was, becomes } = forgery;
        story.teller.remark(&format!("… {sort} in the table of commits: {was:?} becomes {becomes:?}"));
        let found = story.done("GET", "/audit/verify", None, Value::to_string).await;
        put(&client, &table, item).await;
        assert_eq!((&found["ok"], found["firstBadSeq"].as_u64()), (&false.into(), Some(*seq)), "{found}");
        story.teller.remark("… and put back:");
    }

    fn forged(item: &Item, forgery: &Forgery<'_>) -> Item {
        let body = item["body"].as_b().expect("bytes").as_ref();
        let body = String::from_utf8(body.to_vec()).expect("JSON");
        assert!(body.contains(forgery.was), "{body}");
        let body = body.replace(forgery.was, forgery.becomes);
        let mut item = item.clone();
        item.insert("body".to_owned(), AttributeValue::B(Blob::new(body)));
        item
    }

    async fn put(client: &Client, table: &str, item: Item) {
        client.put_item().table_name(table).set_item(Some(item)).send().await.expect("puts");
    }
}
