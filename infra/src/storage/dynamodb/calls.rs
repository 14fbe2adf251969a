//! Records of live calls. A partition holds those of one agent, so that no organization's traffic is bound by what one
//! partition takes. `R#<id>` is a record; beside it the same record stands under each way that leads to it:
//! `L#<hash>#<id>`, `C#<call>#<id>` and `D#<id>`. `X#<id>` says how a write in doubt ended. All of it expires.

use super::DynamoStore;
use super::errors::unavailable;
use super::items::{self, Item, Order, Range, get_text, number, text};
use super::tables::TableName;
use super::transact::unbuilt;
use crate::storage::StoreError;
use crate::storage::calls::{Batch, CallRecord, CallStore, IN_DOUBT, Path, Resolution, Span, read};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use events::{AgentId, OrganizationId};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

const RECORD: &str = "record";
const RESOLUTION: &str = "resolution";
/// Stands behind every id, which is of letters, digits and `_`.
const LAST: &str = "~";

#[async_trait]
impl CallStore for DynamoStore {
    async fn keep_calls(&self, batch: &Arc<Batch>, kept: Duration) -> Result<(), StoreError> {
        let mut puts = Vec::new();
        for record in batch.records()? {
            let json = serde_json::to_string(&record).expect("records are JSON");
            for name in names_of(&record) {
                let item = items::item(
                    &partition(&record.organization, &record.agent),
                    &name,
                    [(RECORD, text(&json)), ("expires", number(expires(record.at, kept)))],
                );
                let put = PutRequest::builder().set_item(Some(item)).build().map_err(unbuilt)?;
                puts.push(WriteRequest::builder().put_request(put).build());
            }
        }
        self.batch_write(&self.calls_table(), puts).await
    }

    async fn calls(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        path: Path<'_>,
        span: Span<'_>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let way = match path {
            Path::All => "R#".to_owned(),
            Path::Lookup(hash) => format!("L#{hash}#"),
            Path::Call(call) => way_of(call),
            Path::InDoubt => "D#".to_owned(),
        };
        let from = format!("{way}{}", span.from.unwrap_or_default());
        let to = format!("{way}{}", span.before.unwrap_or(LAST));
        let (table, partition) = (self.calls_table(), partition(organization, agent));
        let range = Range { table: &table, partition: &partition, from: &from, to: &to };
        // The range ends with the one that is not wanted.
        let found = items::query_in(Order::Backward, &self.client, range, limit.saturating_add(1)).await?;
        let records = found.iter().map(|item| read(get_text(item, RECORD)?.as_bytes()));
        let mut records = records.collect::<Result<Vec<CallRecord>, _>>()?;
        records.retain(|record| span.before != Some(&record.id));
        records.truncate(limit);
        let resolved = records.into_iter().map(|record| self.resolved(record));
        try_join_all(resolved).await
    }

    async fn call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        let item = self.call_item(organization, agent, &format!("R#{id}")).await?;
        let record = item.map(|item| read(get_text(&item, RECORD)?.as_bytes())).transpose()?;
        match record {
            Some(record) => self.resolved(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn resolve_call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
        resolution: &Resolution,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(resolution).expect("resolutions are JSON");
        let item = items::item(
            &partition(organization, agent),
            &format!("X#{id}"),
            [(RESOLUTION, text(json)), ("expires", number(expires(resolution.at, kept)))],
        );
        let put = self.client.put_item().table_name(self.calls_table()).set_item(Some(item));
        put.send().await.map(drop).map_err(unavailable)
    }
}

impl DynamoStore {
    fn calls_table(&self) -> String {
        self.names.table(TableName::Calls)
    }

    async fn call_item(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        name: &str,
    ) -> Result<Option<Item>, StoreError> {
        items::get(&self.client, &self.calls_table(), &partition(organization, agent), name).await
    }

    /// A record with what is known of its end; only those in doubt have one, of which there are few.
    async fn resolved(&self, record: CallRecord) -> Result<CallRecord, StoreError> {
        if record.outcome != IN_DOUBT {
            return Ok(record);
        }
        let name = format!("X#{}", record.id);
        let Some(item) = self.call_item(&record.organization, &record.agent, &name).await? else {
            return Ok(record);
        };
        let resolution = Some(read(get_text(&item, RESOLUTION)?.as_bytes())?);
        Ok(CallRecord { resolution, ..record })
    }
}

fn partition(organization: &OrganizationId, agent: &AgentId) -> String {
    format!("{organization}#{agent}")
}

fn names_of(record: &CallRecord) -> Vec<String> {
    let id = &record.id;
    let mut names = vec![format!("R#{id}")];
    names.extend(record.lookup_hash().map(|hash| format!("L#{hash}#{id}")));
    names.extend(record.call_id.as_ref().map(|call| format!("{}{id}", way_of(call))));
    names.extend((record.outcome == IN_DOUBT).then(|| format!("D#{id}")));
    names
}

/// A platform's id is anything, and the way of one must not lead to those of another.
fn way_of(call: &str) -> String {
    format!("C#{}#", call.replace('%', "%25").replace('#', "%23"))
}

fn expires(at: Timestamp, kept: Duration) -> i64 {
    at.as_second().saturating_add(i64::try_from(kept.as_secs()).unwrap_or(i64::MAX))
}
