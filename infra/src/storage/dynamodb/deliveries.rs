//! Webhooks: `C#<subscription>` is a cursor, `L#<subscription>` says whose turn it is to move it,
//! `A#<subscription>#<attempt>` is an attempt, which expires.

use super::DynamoStore;
use super::errors::{Failure, Reason, unavailable};
use super::items::{self, Item, Order, Range, get_instant, get_number, get_text, number, text};
use super::tables::{SORT, TableName};
use super::transact::unbuilt;
use crate::storage::StoreError;
use crate::storage::deliveries::{Attempt, Cursor, DeliveryStore, Failing, Lease};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{DeleteRequest, Put, TransactWriteItem, WriteRequest};
use domain::limits::WEBHOOK_ATTEMPT_KEPT;
use events::{EventId, OrganizationId, Seq, SubscriptionId};
use jiff::Timestamp;

const AFTER: &str = "after";
const FAILURES: &str = "failures";
/// Both or neither.
const SINCE: &str = "since";
const RETRY_AT: &str = "retry_at";

#[async_trait]
impl DeliveryStore for DynamoStore {
    async fn claim(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.claim_turn(organization, &lease_of(subscription), lease, now).await
    }

    async fn give_back(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        holder: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.give_turn_back(organization, &lease_of(subscription), holder, now).await
    }

    async fn cursor(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<Option<Cursor>, StoreError> {
        let name = cursor_of(subscription);
        let item = items::get(&self.client, &self.deliveries(), organization.as_str(), &name).await?;
        item.as_ref().map(read_cursor).transpose()
    }

    async fn advance(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        was: Option<&Cursor>,
        now: &Cursor,
        attempt: Option<&Attempt>,
    ) -> Result<bool, StoreError> {
        let moved = self.moved(organization, subscription, was, now)?;
        let kept = attempt.map(|attempt| {
            let item = written_attempt(organization, subscription, attempt);
            Put::builder().table_name(self.deliveries()).set_item(Some(item)).build().map_err(unbuilt)
        });
        let mut puts = vec![moved];
        puts.extend(kept.transpose()?);
        let puts = puts.into_iter().map(|put| TransactWriteItem::builder().put(put).build());
        match self.transact(puts.collect()).await {
            Ok(()) => Ok(true),
            Err(Failure::Cancelled(reasons)) if reasons.first() == Some(&Reason::Condition) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn keep(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        let item = written_attempt(organization, subscription, attempt);
        let put = self.client.put_item().table_name(self.deliveries()).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(unavailable)
    }

    async fn attempts(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        // The range ends with the one that is not wanted.
        let (to, limit) = match before {
            Some(before) => (attempt_of(subscription, before), limit.saturating_add(1)),
            None => (attempt_of(subscription, LAST), limit),
        };
        let found = self.kept(organization, subscription, &to, limit).await?;
        let mut attempts = found.iter().map(read_attempt).collect::<Result<Vec<_>, _>>()?;
        if let Some(before) = before {
            attempts.retain(|attempt| attempt.id != before);
            attempts.truncate(limit - 1);
        }
        Ok(attempts)
    }

    async fn attempt(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        id: &str,
    ) -> Result<Option<Attempt>, StoreError> {
        let name = attempt_of(subscription, id);
        let item = items::get(&self.client, &self.deliveries(), organization.as_str(), &name).await?;
        item.as_ref().map(read_attempt).transpose()
    }

    /// When this fails on the way, asking again forgets what is left.
    async fn forget(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<(), StoreError> {
        let to = attempt_of(subscription, LAST);
        let attempts = self.kept(organization, subscription, &to, usize::MAX).await?;
        let mut names = vec![cursor_of(subscription), lease_of(subscription)];
        for attempt in &attempts {
            names.push(get_text(attempt, SORT)?.to_owned());
        }
        self.delete_all(organization, &names).await
    }
}

impl DynamoStore {
    pub(super) fn deliveries(&self) -> String {
        self.names.table(TableName::Deliveries)
    }

    /// Puts the cursor where nobody has moved it meanwhile.
    fn moved(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        was: Option<&Cursor>,
        now: &Cursor,
    ) -> Result<Put, StoreError> {
        let put = Put::builder().table_name(self.deliveries()).set_item(Some(written_cursor(
            organization,
            subscription,
            now,
        )));
        let Some(was) = was else {
            let put = put.condition_expression("attribute_not_exists(#sort)");
            return Ok(put.expression_attribute_names("#sort", SORT).build().map_err(unbuilt)?);
        };
        let put = put
            .expression_attribute_names("#after", AFTER)
            .expression_attribute_names("#failures", FAILURES)
            .expression_attribute_names("#since", SINCE)
            .expression_attribute_names("#retry_at", RETRY_AT)
            .expression_attribute_values(":after", number(was.after))
            .expression_attribute_values(":failures", number(was.failures));
        let put = match was.failing {
            Some(failing) => put
                .condition_expression(
                    "#after = :after AND #failures = :failures AND #since = :since AND #retry_at = :retry_at",
                )
                .expression_attribute_values(":since", number(failing.since.as_microsecond()))
                .expression_attribute_values(":retry_at", number(failing.retry_at.as_microsecond())),
            None => put.condition_expression(
                "#after = :after AND #failures = :failures AND attribute_not_exists(#since) \
                 AND attribute_not_exists(#retry_at)",
            ),
        };
        Ok(put.build().map_err(unbuilt)?)
    }

    /// Attempts up to and including the item `to`, newest first.
    async fn kept(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let (table, from) = (self.deliveries(), attempt_of(subscription, ""));
        let range = Range { table: &table, partition: organization.as_str(), from: &from, to };
        items::query_in(Order::Backward, &self.client, range, limit).await
    }

    async fn delete_all(&self, organization: &OrganizationId, names: &[String]) -> Result<(), StoreError> {
        let delete = |name: &String| {
            let key = items::key(organization.as_str(), name);
            let request = DeleteRequest::builder().set_key(Some(key)).build().map_err(unbuilt)?;
            Ok(WriteRequest::builder().delete_request(request).build())
        };
        let all = names.iter().map(delete).collect::<Result<Vec<_>, Failure>>()?;
        self.batch_write(&self.deliveries(), all).await
    }
}

fn cursor_of(subscription: &SubscriptionId) -> String {
    format!("C#{subscription}")
}

fn lease_of(subscription: &SubscriptionId) -> String {
    format!("L#{subscription}")
}

fn attempt_of(subscription: &SubscriptionId, id: &str) -> String {
    format!("A#{subscription}#{id}")
}

/// Stands behind every attempt's id, which is of letters, digits and `_`.
const LAST: &str = "~";

fn written_cursor(organization: &OrganizationId, subscription: &SubscriptionId, cursor: &Cursor) -> Item {
    let position = [(AFTER, number(cursor.after)), (FAILURES, number(cursor.failures))];
    let mut item = items::item(organization.as_str(), &cursor_of(subscription), position);
    if let Some(Failing { since, retry_at }) = cursor.failing {
        item.insert(SINCE.to_owned(), number(since.as_microsecond()));
        item.insert(RETRY_AT.to_owned(), number(retry_at.as_microsecond()));
    }
    item
}

fn read_cursor(item: &Item) -> Result<Cursor, StoreError> {
    let failing = if item.contains_key(SINCE) {
        Some(Failing { since: get_instant(item, SINCE)?, retry_at: get_instant(item, RETRY_AT)? })
    } else {
        None
    };
    Ok(Cursor { after: Seq(get_number(item, AFTER)?), failures: get_number(item, FAILURES)?, failing })
}

fn written_attempt(organization: &OrganizationId, subscription: &SubscriptionId, attempt: &Attempt) -> Item {
    let kept = i64::try_from(WEBHOOK_ATTEMPT_KEPT.as_secs()).unwrap_or(i64::MAX);
    let mut item = items::item(
        organization.as_str(),
        &attempt_of(subscription, &attempt.id),
        [
            ("id", text(&attempt.id)),
            ("seq", number(attempt.seq)),
            ("event_id", text(attempt.event_id.as_str())),
            ("event_type", text(&attempt.event_type)),
            ("number", number(attempt.number)),
            ("at", number(attempt.at.as_microsecond())),
            ("duration_ms", number(attempt.duration_ms)),
            ("expires", number(attempt.at.as_second().saturating_add(kept))),
        ],
    );
    item.extend(attempt.status.map(|status| ("status".to_owned(), number(status))));
    item.extend(attempt.failure.as_ref().map(|failure| ("failure".to_owned(), text(failure))));
    item
}

fn read_attempt(item: &Item) -> Result<Attempt, StoreError> {
    let has = |name: &str| item.contains_key(name);
    let status = if has("status") { Some(get_number(item, "status")?) } else { None };
    let failure = if has("failure") { Some(get_text(item, "failure")?.to_owned()) } else { None };
    Ok(Attempt {
        id: get_text(item, "id")?.to_owned(),
        seq: Seq(get_number(item, "seq")?),
        event_id: EventId::from(get_text(item, "event_id")?.to_owned()),
        event_type: get_text(item, "event_type")?.to_owned(),
        number: get_number(item, "number")?,
        at: get_instant(item, "at")?,
        duration_ms: get_number(item, "duration_ms")?,
        status,
        failure,
    })
}
