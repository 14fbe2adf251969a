//! Log lines of a server: one JSON object each, with the request that it belongs to.

use crate::clock;
use infra::telemetry::{Request, of_current};
use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whatever is logged while a request is answered says which one it is, also where nothing is known of requests.
pub struct OfRequests;

impl<S, N> FormatEvent<S, N> for OfRequests
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
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), clock::now().to_string().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(request) = of_current(Request::clone) {
            line.insert("requestId".to_owned(), request.id.as_str().into());
            if let Some(trace) = request.trace {
                line.insert("traceId".to_owned(), trace.to_string().into());
            }
        }
        line.insert("fields".to_owned(), Value::Object(Fields::of(event)));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// An event's fields as JSON.
#[derive(Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    pub fn of(event: &Event<'_>) -> Map<String, Value> {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields.0
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use infra::telemetry::{TraceId, during};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_is_logged_in_a_request_bears_its_id_and_its_trace() {
        let written = Written::default();
        let lines = written.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(OfRequests).with_writer(move || lines.clone()).finish();
        let id = random::request_id();
        tracing::subscriber::with_default(subscriber, || {
            let trace = Some(TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()));
            let request = Request { id: id.clone(), trace, spans: None };
            during(request, || tracing::warn!(status = 503, "failed\nagain"));
            tracing::info!(listen = %"127.0.0.1:8480", "serving");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["level"], &lines[0]["fields"]["status"]), (&"WARN".into(), &503.into()));
        assert_eq!(lines[0]["fields"]["message"], "failed\nagain");
        assert_eq!(lines[0]["requestId"], id.as_str());
        assert_eq!(lines[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(lines[1]["fields"]["listen"], "127.0.0.1:8480");
        assert!(lines[1].get("requestId").is_none() && lines[1].get("traceId").is_none());
    }
}
