//! What somebody does who may write to the tables and goes around the store.

use super::*;
use crate::storage::chain::Row;
use crate::storage::dynamodb::items::{self, Item, number};
use crate::storage::dynamodb::reader::{HEAD, commit_item, row_item};
use jiff::Timestamp;

struct Hands<'h> {
    client: &'h Client,
    commits: String,
    heads: String,
    names: &'h Names,
    organization: &'h OrganizationId,
}

pub async fn tamper(client: &Client, names: &Names, organization: &OrganizationId, tamper: Tamper) {
    let hands = Hands {
        client,
        commits: names.table(TableName::Commits),
        heads: names.table(TableName::Heads),
        names,
        organization,
    };
    match tamper {
        Tamper::FlipByte(seq) => {
            let mut row = hands.row(organization, seq).await;
            let at = row.body.windows(4).position(|window| window == b"acme").expect("the name");
            row.body[at + 3] = b'f';
            hands.put(&row).await;
        }
        Tamper::ChangeTime(seq) => {
            let mut row = hands.row(organization, seq).await;
            row.recorded_at = after(row.recorded_at);
            hands.put(&row).await;
        }
        Tamper::Remove(seq) => hands.remove(seq).await,
        Tamper::Append(seq) => {
            let row = hands.row(organization, seq).await;
            hands.put(&Row { seq: Seq(seq.0 + 2), prev_hash: row.hash, ..row }).await;
        }
        Tamper::Insert { after } => hands.insert(after).await,
        Tamper::Swap(one, two) => {
            let first = hands.row(organization, one).await;
            let second = hands.row(organization, two).await;
            hands.put(&Row { seq: two, ..first }).await;
            hands.put(&Row { seq: one, ..second }).await;
        }
        Tamper::Foreign(other, seq) => {
            let theirs = hands.row(&other, seq).await;
            hands.put(&theirs).await;
        }
    }
}

fn after(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond() + 1).expect("a time")
}

impl Hands<'_> {
    /// The commit that ends at `seq`.
    async fn row(&self, organization: &OrganizationId, seq: Seq) -> Row {
        let mut reader = Reader::new(self.client, self.names);
        let rows = reader.rows(organization, Seq(seq.0 - 1), 1).await.expect("reads");
        rows.into_iter().next().filter(|row| row.seq == seq).expect("the commit is there")
    }

    async fn put(&self, row: &Row) {
        self.put_item(&self.commits, row_item(self.organization, row)).await;
    }

    async fn put_item(&self, table: &str, item: Item) {
        self.client.put_item().table_name(table).set_item(Some(item)).send().await.expect("puts");
    }

    async fn remove(&self, seq: Seq) {
        self.client
            .delete_item()
            .table_name(&self.commits)
            .set_key(Some(items::key(self.organization.as_str(), &commit_item(seq))))
            .send()
            .await
            .expect("deletes");
    }

    /// As well made as it can be, with a time of its own; the later ones move up and HEAD with them.
    async fn insert(&self, behind: Seq) {
        let before = self.row(self.organization, behind).await;
        let events: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&before.body).expect("JSON");
        let mut event: serde_json::Value =
            serde_json::from_str(events.last().expect("an event").get()).expect("JSON");
        let recorded_at = after(before.recorded_at);
        event["recordedAt"] = recorded_at.to_string().into();
        let bytes = event.to_string();
        let seq = Seq(behind.0 + 1);
        let hash = events::json::chain(self.organization, seq, &before.hash, bytes.as_bytes());
        let mut reader = Reader::new(self.client, self.names);
        let later = reader.rows(self.organization, behind, usize::MAX).await.expect("reads");
        for row in &later {
            self.remove(row.seq).await;
        }
        for row in later {
            self.put(&Row { seq: Seq(row.seq.0 + 1), ..row }).await;
        }
        let body = format!("[{bytes}]").into_bytes();
        self.put(&Row { seq, recorded_at, prev_hash: before.hash, hash, body }).await;
        let mut head = items::get(self.client, &self.heads, self.organization.as_str(), HEAD)
            .await
            .expect("reads")
            .expect("a head");
        let moved = items::get_number::<u64>(&head, "seq").expect("a number") + 1;
        head.insert("seq".to_owned(), number(moved));
        self.put_item(&self.heads, head).await;
    }
}
