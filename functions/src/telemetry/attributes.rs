//! What tells one measurement of a metric from another. All of it has few values.

use super::Route;
use crate::router::BASE;
use http::Method;
use opentelemetry::KeyValue;

/// `fault` is empty where there was none.
pub fn failing(system: &'static str, fault: &'static str) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("db.system.name", system)];
    if !fault.is_empty() {
        attributes.push(KeyValue::new("error.type", fault));
    }
    attributes
}

pub fn of_request(
    (route, method, status): (Route, &'static str, u16),
    scheme: &'static str,
) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("url.scheme", scheme),
    ];
    match route {
        Route::Api(path) => attributes.push(KeyValue::new("http.route", format!("{BASE}{path}"))),
        Route::Beside(path) => attributes.push(KeyValue::new("http.route", path)),
        Route::Nothing => {}
    }
    if status >= 500 {
        attributes.push(KeyValue::new("error.type", status.to_string()));
    }
    attributes
}

/// A client may name any method; those that are none of HTTP's are one.
pub fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
