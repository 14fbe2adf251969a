//! The header of W3C Trace Context.

use events::RequestId;
use http::{HeaderMap, HeaderName, HeaderValue};
use infra::telemetry::TraceId;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: TraceId,
    /// Of the span of the request.
    pub span: [u8; 8],
    pub flags: u8,
}

impl Trace {
    /// The caller's trace, in which our span is as unique as the request id that it is made of.
    pub fn given(headers: &HeaderMap, request_id: &RequestId) -> Option<Self> {
        use sha2::{Digest, Sha256};
        let (id, flags) = parse(headers)?;
        let digest = Sha256::digest(request_id.as_str().as_bytes());
        Some(Self { id, span: std::array::from_fn(|at| digest[at]), flags })
    }

    pub fn write(self, headers: &mut HeaderMap) {
        let Self { id, span, flags } = self;
        if let Ok(value) = HeaderValue::from_str(&format!("00-{id}-{}-{flags:02x}", hex::encode(span))) {
            headers.insert(TRACEPARENT.clone(), value);
        }
    }
}

pub fn is_given(headers: &HeaderMap) -> bool {
    headers.contains_key(&TRACEPARENT)
}

/// Trace id and flags of the caller's span, when the header is one.
fn parse(headers: &HeaderMap) -> Option<(TraceId, u8)> {
    let mut parts = headers.get(&TRACEPARENT)?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let valid = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    if !valid || zero(trace) || zero(parent) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok()?.to_be_bytes();
    Some((TraceId(trace), u8::from_str_radix(flags, 16).ok()?))
}
