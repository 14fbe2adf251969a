//! Traces: a span for each request, and for what it waits for.

use super::attributes::method_name;
use super::seen::{Begun, ServerSpan};
use super::traceparent::{Trace, is_given};
use crate::endpoint::{Endpoint, Measured};
use crate::router::BASE;
use events::RequestId;
use http::{HeaderMap, StatusCode};
use infra::telemetry::{OpenSpan, Spans, TraceId};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use std::sync::{Arc, Mutex, PoisonError};

pub struct Tracing(pub SdkTracer);

impl Tracing {
    /// Under the caller's span, where the request names one. Whether it is sampled is known before anything about it is
    /// put down.
    pub fn begin(&self, endpoint: &'static Endpoint, headers: &HeaderMap) -> Begun {
        let nobody = Context::new();
        let parent = if is_given(headers) {
            TraceContextPropagator::new().extract_with_context(&nobody, &HeaderExtractor(headers))
        } else {
            nobody
        };
        let builder = SpanBuilder::from_name(endpoint.name).with_kind(SpanKind::Server);
        let mut span = self.0.build_with_context(builder, &parent);
        let context = span.span_context().clone();
        let trace = Trace {
            id: TraceId(context.trace_id().to_bytes()),
            span: context.span_id().to_bytes(),
            flags: context.trace_flags().to_u8(),
        };
        if !span.is_recording() {
            return Begun { trace, span: None };
        }
        let (method, route) = (method_name(&endpoint.method), format!("{BASE}{}", endpoint.path));
        span.update_name(format!("{method} {route}"));
        span.set_attribute(KeyValue::new("http.request.method", method));
        span.set_attribute(KeyValue::new("http.route", route));
        let span = OfRequest { tracer: self.0.clone(), context, span: Mutex::new(span) };
        Begun { trace, span: Some(Arc::new(span)) }
    }
}

struct OfRequest {
    tracer: SdkTracer,
    context: SpanContext,
    /// The SDK ends it when it is dropped.
    span: Mutex<SdkSpan>,
}

impl ServerSpan for OfRequest {
    fn answered(&self, request_id: &RequestId, status: StatusCode, measured: Option<Measured>) {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.set_attribute(KeyValue::new("bindery.request.id", request_id.to_string()));
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if let Some(measured) = measured {
            span.set_attribute(KeyValue::new("bindery.outcome", measured.outcome));
        }
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_u16().to_string()));
            span.set_status(Status::error(""));
        }
    }
}

impl Spans for OfRequest {
    fn begin(&self, name: &'static str, to_outside: bool) -> Box<dyn OpenSpan> {
        let kind = if to_outside { SpanKind::Client } else { SpanKind::Internal };
        let parent = Context::new().with_remote_span_context(self.context.clone());
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        Box::new(Part(self.tracer.build_with_context(builder, &parent)))
    }
}

struct Part(SdkSpan);

impl OpenSpan for Part {
    fn set(&mut self, key: &'static str, word: &'static str) {
        self.0.set_attribute(KeyValue::new(key, word));
    }

    fn fail(&mut self, kind: &'static str) {
        self.0.set_attribute(KeyValue::new("error.type", kind));
        self.0.set_status(Status::error(""));
    }
}
