//! Log lines as the platform takes them: one JSON object, with the invocation they belong to.

use super::lines::Lines;
use crate::clock;
use crate::log::Fields;
use infra::telemetry::of_current;
use serde_json::Value;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// What every line of an invocation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The platform's, by which its own lines can be found; ours is `request_id`.
    pub request_id: String,
    /// Of AWS X-Ray, `Root=1-…`.
    pub trace_id: Option<String>,
}

/// A function has one invocation at a time, and nothing of it goes on when the next begins.
static CURRENT: Mutex<Option<Invocation>> = Mutex::new(None);

impl Invocation {
    pub fn begin(self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    fn current() -> Option<Invocation> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that is traced in this process goes there.
///
/// # Errors
/// One sentence, when something listens already.
pub fn install(filter: Targets, lines: Lines) -> Result<(), String> {
    let subscriber = tracing_subscriber::fmt()
        .event_format(OneObject(Invocation::current))
        .with_max_level(LevelFilter::TRACE)
        .with_writer(lines)
        .finish()
        .with(filter);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
}

/// `timestamp` and `level` at the top, which is where the platform looks when it filters.
struct OneObject(fn() -> Option<Invocation>);

impl<S, N> FormatEvent<S, N> for OneObject
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Fields::of(event);
        line.insert("timestamp".to_owned(), clock::now().to_string().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(id) = of_current(|request| request.id.clone()) {
            line.insert("request_id".to_owned(), id.as_str().into());
        }
        if let Some(invocation) = (self.0)() {
            line.insert("requestId".to_owned(), invocation.request_id.into());
            if let Some(trace) = invocation.trace_id {
                line.insert("traceId".to_owned(), trace.into());
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::lines::tests::Written;
    use infra::telemetry::{Request, during};

    #[tokio::test]
    async fn a_line_is_one_object_with_the_invocation_it_belongs_to() {
        let written = Written::default();
        let lines = Lines::to(written.clone());
        let invocation = || {
            let trace_id = Some("Root=1-5e9f0c65-1de4d666d4dd26aced652b6c".to_owned());
            Some(Invocation { request_id: "8476a536-e9f4-11e8".to_owned(), trace_id })
        };
        let subscriber =
            tracing_subscriber::fmt().event_format(OneObject(invocation)).with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let request = Request { id: "req_1".into(), trace: None, spans: None };
            during(request, || {
                tracing::warn!(endpoint = "agents-list", status = 503, ms = 1.5, "failed\nagain");
            });
        });
        lines.flush().await;
        let line = &written.lines()[0];
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "failed\nagain");
        assert_eq!((&line["endpoint"], &line["status"]), (&"agents-list".into(), &503.into()));
        assert_eq!((&line["ms"], &line["request_id"]), (&1.5.into(), &"req_1".into()));
        assert_eq!(line["requestId"], "8476a536-e9f4-11e8");
        assert_eq!(line["traceId"], "Root=1-5e9f0c65-1de4d666d4dd26aced652b6c");
        let timestamp = line["timestamp"].as_str().expect("a timestamp");
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok() && timestamp.ends_with('Z'), "{timestamp}");
    }
}
