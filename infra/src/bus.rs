//! A bus that carries events to whoever an account lets listen: EventBridge.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Builder;
use aws_sdk_eventbridge::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::limits::{AWS_ATTEMPT_TIMEOUT, BUS_ATTEMPT_TIMEOUT, BUS_TIMEOUT};
use jiff::Timestamp;

/// What rules know our events by.
pub const SOURCE: &str = "bindery";

/// What EventBridge counts for an entry's time.
const TIME_BYTES: usize = 14;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub detail_type: String,
    /// A JSON object.
    pub detail: String,
    pub time: Timestamp,
}

impl Entry {
    /// As EventBridge counts them against what a request may hold.
    pub fn bytes(&self) -> usize {
        TIME_BYTES + SOURCE.len() + self.detail_type.len() + self.detail.len()
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Entries before the first that was not taken. Some behind that one may have been.
    pub taken: usize,
    /// Why that one was not.
    pub refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus takes nothing now: {0}")]
pub struct BusUnavailable(pub String);

#[async_trait]
pub trait Bus: Send + Sync {
    /// Puts the entries in their order: at most [`domain::limits::BUS_ENTRIES`] and [`domain::limits::BUS_BYTES`].
    ///
    /// # Errors
    /// When none was taken for certain; some may have been.
    async fn put(&self, entries: &[Entry]) -> Result<Put, BusUnavailable>;
}

pub struct EventBridge {
    client: Client,
    /// Its name or ARN.
    bus: String,
}

impl EventBridge {
    pub fn new(config: &SdkConfig, bus: String) -> Self {
        let patient = TimeoutConfig::builder()
            .connect_timeout(AWS_ATTEMPT_TIMEOUT)
            .operation_attempt_timeout(BUS_ATTEMPT_TIMEOUT)
            .operation_timeout(BUS_TIMEOUT)
            .build();
        let config = Builder::from(config).timeout_config(patient).build();
        Self { client: Client::from_conf(config), bus }
    }
}

#[async_trait]
impl Bus for EventBridge {
    async fn put(&self, entries: &[Entry]) -> Result<Put, BusUnavailable> {
        let put = |entry: &Entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SOURCE)
                .detail_type(&entry.detail_type)
                .detail(&entry.detail)
                .time(DateTime::from_secs(entry.time.as_second()))
                .build()
        };
        let all: Vec<_> = entries.iter().map(put).collect();
        let answer = self.client.put_events().set_entries(Some(all)).send().await.map_err(unavailable)?;
        let outcomes = answer.entries();
        if outcomes.len() != entries.len() {
            return Err(BusUnavailable("an answer of another length than the request".to_owned()));
        }
        let taken = outcomes.iter().take_while(|it| it.error_code().is_none()).count();
        let refused = outcomes.get(taken).and_then(|it| it.error_code()).map(str::to_owned);
        Ok(Put { taken, refused })
    }
}

/// The code or the kind of fault, never the message: it may quote what was sent.
fn unavailable<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> BusUnavailable {
    let kind = match &error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ServiceError(service) => service.err().code().unwrap_or("an error without a code"),
        _ => "no answer that could be read",
    };
    BusUnavailable(kind.to_owned())
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
