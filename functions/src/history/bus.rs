//! An organization's events on the bus of a deployment: each at least once and in order, as far as a bus keeps order.

use crate::problem::Problem;
use crate::router::BASE;
use crate::services::Services;
use crate::subscriptions::turn::Turn;
use domain::limits::{AWS_OPERATION_TIMEOUT, BUS_BACKOFF, BUS_BYTES, BUS_ENTRIES, BUS_TIMEOUT};
use events::{OrganizationId, Recorded, Seq, SubscriptionId};
use infra::bus::{Bus, Entry};
use infra::storage::deliveries::Cursor;
use serde_json::{Value, json};
use std::time::Instant;

/// The bus has its cursor and its turns beside those of webhooks, whose ids all begin with `sub_`.
const RECEIVER: &str = "event-bus";
/// Events read at once.
const BATCH: usize = 100;

/// What became of an organization's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Put and taken.
    pub events: u64,
    /// Everything up to the log's end is on the bus.
    pub caught_up: bool,
}

impl Services {
    /// Puts what the bus does not have. No request begins after `until`; what is left then, or while somebody else
    /// puts, is for the next who asks.
    ///
    /// # Errors
    /// When the log or the bus cannot be used, or the bus goes on refusing an event.
    pub async fn publish_due(
        &self,
        bus: &dyn Bus,
        organization: &OrganizationId,
        until: Instant,
    ) -> Result<Published, Problem> {
        let receiver = &SubscriptionId::from(RECEIVER);
        let turn = Turn::of(self, organization, receiver, BUS_TIMEOUT + AWS_OPERATION_TIMEOUT);
        let published = Published::default();
        let mut publisher = Publisher { services: self, bus, organization, receiver, turn, until, published };
        let ended = publisher.publish().await;
        publisher.turn.give_back().await;
        ended.map(|()| publisher.published)
    }
}

struct Publisher<'p> {
    services: &'p Services,
    bus: &'p dyn Bus,
    organization: &'p OrganizationId,
    receiver: &'p SubscriptionId,
    turn: Turn<'p>,
    until: Instant,
    published: Published,
}

impl Publisher<'_> {
    async fn publish(&mut self) -> Result<(), Problem> {
        while Instant::now() < self.until {
            let was = self.services.deliveries.cursor(self.organization, self.receiver).await?;
            let after = was.as_ref().map_or(Seq(0), |cursor| cursor.after);
            self.published.caught_up = after >= self.services.log.head(self.organization).await?;
            if self.published.caught_up {
                if !self.turn.is_held() {
                    return Ok(());
                }
                // Who came while the turn was taken has left what came with them to its holder.
                self.turn.give_back().await;
                continue;
            }
            if self.turn.is_held() {
                let events = self.services.log.read(self.organization, after, BATCH).await?;
                self.put_all(was, &events).await?;
            } else if self.turn.take().await?.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts these events and moves the cursor behind each part that was taken.
    async fn put_all(&mut self, mut was: Option<Cursor>, mut left: &[Recorded]) -> Result<(), Problem> {
        let mut wait = BUS_BACKOFF;
        while let Some(first) = left.first()
            && Instant::now() < self.until
            && self.turn.lasts().await?
        {
            let public_url = &self.services.config.public_url;
            let entries = batch(left, |event| entry(self.organization, event, public_url));
            let put = self.bus.put(&entries).await;
            let put = put.map_err(|error| Problem::unavailable(error.to_string()))?;
            let (taken, rest) = left.split_at(put.taken);
            if let Some(last) = taken.last() {
                let now = Cursor { after: last.seq, ..Cursor::default() };
                let deliveries = &self.services.deliveries;
                if !deliveries.advance(self.organization, self.receiver, was.as_ref(), &now, None).await? {
                    return Ok(());
                }
                was = Some(now);
                wait = BUS_BACKOFF;
                self.published.events += taken.len() as u64;
            }
            if let Some(reason) = put.refused {
                if Instant::now() + wait >= self.until {
                    let refused = rest.first().unwrap_or(first).seq;
                    return Err(Problem::unavailable(format!("the bus refuses event {refused}: {reason}")));
                }
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            left = rest;
        }
        Ok(())
    }
}

/// As many of the first events as one request may hold, and at least one.
fn batch(events: &[Recorded], entry: impl Fn(&Recorded) -> Entry) -> Vec<Entry> {
    let mut bytes = 0;
    let fits = |entry: &Entry| {
        bytes += entry.bytes();
        bytes <= BUS_BYTES
    };
    events.iter().take(BUS_ENTRIES).map(entry).take_while(fits).collect()
}

/// The event as `GET /events` gives it, with its organization: a bus carries the events of all. An event that is too
/// large for a request goes without its data, and says where that is read.
fn entry(organization: &OrganizationId, event: &Recorded, public_url: &str) -> Entry {
    let mut detail = event.to_wire();
    detail["organization"] = json!(organization);
    let entry = |detail: &Value| Entry {
        detail_type: event.event.name().to_owned(),
        detail: detail.to_string(),
        time: event.recorded_at,
    };
    let whole = entry(&detail);
    if whole.bytes() <= BUS_BYTES {
        return whole;
    }
    let before = event.seq.0 - 1;
    if let Some(members) = detail.as_object_mut() {
        members.remove("data");
    }
    detail["dataOmitted"] = json!(true);
    detail["readAt"] = json!(format!("{public_url}{BASE}/events?after={before}&limit=1"));
    entry(&detail)
}
