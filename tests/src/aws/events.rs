//! An HTTP request as API Gateway hands it to a function (HTTP API, payload format 2.0), and the function's answer as
//! HTTP.

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The event for a request that a route was found for.
pub fn event(
    parts: &Parts,
    body: &[u8],
    route: &str,
    path_parameters: &BTreeMap<String, String>,
    request_id: &str,
) -> Value {
    let query = parts.uri.query().unwrap_or_default();
    let (path, method) = (parts.uri.path(), parts.method.as_str());
    let now = Timestamp::now();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined(&parts.headers),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "loopback",
            "domainName": host,
            "domainPrefix": "loopback",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": request_id,
            "routeKey": route,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<_> = parts.headers.get_all(header::COOKIE).iter().map(readable).collect();
    let cookies: Vec<_> = cookies.iter().flat_map(|line| line.split("; ")).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = Value::Object(query_parameters(query));
    }
    if !path_parameters.is_empty() {
        event["pathParameters"] = json!(path_parameters);
    }
    if !body.is_empty() {
        let text = is_text(&parts.headers).then(|| std::str::from_utf8(body).ok()).flatten();
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), str::to_owned));
    }
    event
}

/// Names in lower case, several values of one name with commas between them. Cookies are told apart.
fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::COOKIE) {
        let known = joined.entry(name.as_str()).or_default();
        if !known.is_empty() {
            known.push(',');
        }
        known.push_str(&readable(value));
    }
    joined.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

fn readable(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn query_parameters(query: &str) -> Map<String, Value> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = joined.entry(decoded(name, true)).or_default();
        if !known.is_empty() {
            known.push(',');
        }
        known.push_str(&decoded(value, true));
    }
    joined.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

/// Percent-decoded; bytes that are not UTF-8 become the replacement character.
pub fn decoded(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let encoded = pair.filter(|_| *first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(encoded.unwrap_or(if is_query && *first == b'+' { b' ' } else { *first }));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What API Gateway passes on as text; anything else is in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(readable).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
}

/// The HTTP that a function's answer stands for; `None` when it is none.
pub fn response(answer: &[u8]) -> Option<Response> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    // Without a status it is a body, which answers of ours never are.
    let mut response = head(&answer)?;
    let body = match &answer["body"] {
        Value::Null => Bytes::new(),
        Value::String(text) if answer["isBase64Encoded"] == true => STANDARD.decode(text).ok()?.into(),
        Value::String(text) => text.clone().into(),
        _ => return None,
    };
    *response.body_mut() = Body::from(body);
    Some(response)
}

/// Status, headers and cookies; also of the JSON that a streamed answer starts with.
pub fn head(answer: &Value) -> Option<Response> {
    let mut response = Response::new(Body::empty());
    let status = u16::try_from(answer.get("statusCode")?.as_u64()?).ok()?;
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.as_str()?).ok()?);
    }
    for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
        let name = HeaderName::try_from(name).ok()?;
        for value in values.as_array()? {
            headers.append(name.clone(), HeaderValue::try_from(value.as_str()?).ok()?);
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie.as_str()?).ok()?);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::{event, response};
    use axum::body::to_bytes;
    use http::{Request, header};
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn an_event_says_what_the_request_said() {
        let request = Request::builder()
            .method("POST")
            .uri("/api/v1/agents/a%20b?q=x+y&q=%C3%A4&empty")
            .header("X-Many", "1")
            .header("X-Many", "2")
            .header(header::COOKIE, "a=1; b=2")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let parameters = BTreeMap::from([("agentId".to_owned(), "a b".to_owned())]);
        let event = event(&parts, b"{}", "POST /api/v1/agents/{agentId}", &parameters, "id");
        assert_eq!(event["rawPath"], "/api/v1/agents/a%20b");
        assert_eq!(event["rawQueryString"], "q=x+y&q=%C3%A4&empty");
        assert_eq!(event["queryStringParameters"], json!({ "q": "x y,ä", "empty": "" }));
        assert_eq!(event["headers"]["x-many"], "1,2");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["pathParameters"], json!({ "agentId": "a b" }));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
    }

    #[test]
    fn a_body_that_is_no_text_comes_in_base64() {
        let request = Request::builder().method("POST").uri("/").body(()).unwrap();
        let event = event(&request.into_parts().0, &[0, 255], "POST /", &BTreeMap::new(), "id");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("AP8="), &json!(true)));
    }

    #[tokio::test]
    async fn an_answer_becomes_http() {
        let answer = json!({
            "statusCode": 201, "headers": { "x-a": "1" }, "multiValueHeaders": { "x-b": ["2", "3"] },
            "cookies": ["a=b"], "body": "AP8=", "isBase64Encoded": true,
        });
        let response = response(answer.to_string().as_bytes()).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-a"], "1");
        assert_eq!(response.headers().get_all("x-b").iter().count(), 2);
        assert_eq!(response.headers()[header::SET_COOKIE], "a=b");
        assert_eq!(to_bytes(response.into_body(), 10).await.unwrap(), [0, 255].as_slice());
    }

    #[test]
    fn an_answer_that_is_none_is_told_apart() {
        for malformed in ["", "null", "{}", r#"{"statusCode":"200"}"#, r#"{"statusCode":99}"#] {
            assert!(response(malformed.as_bytes()).is_none(), "{malformed}");
        }
        assert!(response(br#"{"statusCode":200,"body":{}}"#).is_none());
        assert!(response(br#"{"statusCode":200,"headers":{"a b":"1"}}"#).is_none());
    }
}
