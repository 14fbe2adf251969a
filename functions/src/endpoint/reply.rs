//! What a handler answers with.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use events::Seq;
use futures_util::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

/// A successful answer. No Debug: a body may hold a new key or a customer's rows.
pub struct Reply {
    pub status: StatusCode,
    /// The whole body as JSON bytes.
    pub body: Bytes,
    /// What is kept for a repetition, when that is less than the body.
    pub kept: Option<Bytes>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Comes instead of `body`, when it is asked for. Never locked: it makes a reply [`Sync`].
    pub frames: Option<Mutex<Frames>>,
    pub measured: Option<Measured>,
}

/// What is counted of a live call, beside its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub outcome: &'static str,
    pub code: Option<&'static str>,
    pub rows: u32,
    pub database: Duration,
}

impl Measured {
    /// Of a write that was done before: its answer is given again, and no database is asked.
    pub const REPEATED: Measured =
        Measured { outcome: "repeated", code: None, rows: 0, database: Duration::ZERO };
}

/// Server-sent events. The next is made when the one before was taken, so a slow client holds nothing up but itself.
pub type Frames = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

pub static POSITION: HeaderName = HeaderName::from_static("x-bindery-position");

impl Reply {
    pub fn ok(data: &impl Serialize) -> Self {
        Self::with_status(StatusCode::OK, data)
    }

    pub fn created(data: &impl Serialize) -> Self {
        Self::with_status(StatusCode::CREATED, data)
    }

    pub fn with_status(status: StatusCode, data: &impl Serialize) -> Self {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            success: bool,
            data: &'a T,
        }
        Self::raw(status, &Envelope { success: true, data })
    }

    pub fn raw(status: StatusCode, body: &impl Serialize) -> Self {
        // Most answers fit.
        let mut json = Vec::with_capacity(512);
        serde_json::to_writer(&mut json, body).expect("answers are JSON");
        Self::json(status, Bytes::from(json))
    }

    pub fn json(status: StatusCode, body: Bytes) -> Self {
        Self { status, body, kept: None, headers: Vec::new(), frames: None, measured: None }
    }

    pub fn stream(frames: Frames) -> Self {
        let uncached = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let (status, headers, frames) = (StatusCode::OK, vec![uncached], Some(Mutex::new(frames)));
        Self { status, body: Bytes::new(), kept: None, headers, frames, measured: None }
    }

    /// The body that a repetition gets: without what is shown once.
    pub fn kept_as(mut self, data: &impl Serialize) -> Self {
        self.kept = Some(Self::ok(data).body);
        self
    }

    pub fn measured(mut self, measured: Measured) -> Self {
        self.measured = Some(measured);
        self
    }

    pub fn etag(mut self, version: Seq) -> Self {
        let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes");
        self.headers.push((header::ETAG, tag));
        self
    }

    pub fn position(mut self, seq: Seq) -> Self {
        self.headers.push((POSITION.clone(), HeaderValue::from(seq.0)));
        self
    }

    pub fn into_response(self) -> Response {
        let (body, media_type) = match self.frames {
            Some(frames) => {
                let frames = frames.into_inner().expect("nobody has locked it");
                (Body::from_stream(frames.map(Ok::<_, Infallible>)), "text/event-stream")
            }
            None => (Body::from(self.body), "application/json"),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // With those that every answer has.
        headers.reserve(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}
