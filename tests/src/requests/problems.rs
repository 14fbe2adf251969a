//! Refusals: their shape, their completeness, and the address that explains them.

use super::{text, wrong};
use crate::http::Answer;
use crate::site::Site;
use functions::problem::Code;
use serde_json::{Value, json};

async fn raw(site: &Site, method: &str, path: &str, media_type: Option<&str>, body: &str) -> Answer {
    let mut request = site.http.request(method, path).bearer_auth(&site.http.key);
    if let Some(media_type) = media_type {
        request = request.header("Content-Type", media_type);
    }
    site.http.ask(request.body(body.to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_says_what_where_and_under_which_request() {
    let site = Site::start().await;
    let answer = site.http.get("/agents/nobody?min_position=0").await;
    assert_eq!(answer.refusal(404), "not_found");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let members: Vec<&String> = answer.body.as_object().expect("a document").keys().collect();
    assert_eq!(members.len(), 7, "{members:?}");
    assert_eq!(answer.body["type"], format!("{}/errors/not_found", site.http.url));
    assert_eq!(
        (&answer.body["status"], &answer.body["title"]),
        (&json!(404), &json!("There is no such thing"))
    );
    assert_eq!(answer.body["detail"], "no such agent in this organization");
    assert_eq!(answer.body["instance"], "/api/v1/agents/nobody");
    assert_eq!(answer.body["requestId"], answer.header("x-request-id").expect("an id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_every_problem_answers_with_what_it_means_and_how_to_mend_it() {
    let site = Site::start().await;
    for code in Code::ALL {
        let answer = site.http.beside(&format!("{}/errors/{}", site.http.url, code.as_str())).await;
        let data = answer.data();
        assert_eq!((&data["code"], &data["title"]), (&json!(code.as_str()), &json!(code.title())));
        assert_eq!(data["status"], code.status().as_u16());
        assert!(text(&data["meaning"]).len() > 20 && text(&data["mend"]).ends_with('.'), "{data}");
    }
    assert_eq!(site.http.beside("/errors/nonsense").await.refusal(404), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_body_is_named_at_once() {
    let site = Site::start().await;
    let body = json!({
        "credentials": {
            "host": 7, "port": [], "database": "a", "user": "a", "sslmode": "require", "passwort": "a",
        },
        "skiptest": true,
    });
    let answer = site.http.post("/integrations/postgres/connect", body).await;
    let fields = wrong(&answer);
    for expected in [
        ("credentials.host", "wrong_type"),
        ("credentials.password", "required"),
        ("credentials.passwort", "unknown_field"),
        ("skiptest", "unknown_field"),
    ] {
        assert!(
            fields.contains(&(expected.0.to_owned(), expected.1.to_owned())),
            "{expected:?} in {fields:?}"
        );
    }
    assert!(fields.iter().any(|(field, _)| field == "credentials.port"), "{fields:?}");
    assert_eq!(fields.len(), 5);
    assert_eq!(answer.code(), "validation_error");
    let meaningless = json!({ "credentials": {
        "host": "", "port": "70000", "database": "a\u{0}b", "user": "", "password": "a", "sslmode": "disable",
        "ca_pem": "no certificate",
    }});
    let answer = site.http.post("/integrations/postgres/sql/test", meaningless).await;
    let mut fields: Vec<String> = wrong(&answer).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    let expected =
        ["ca_pem", "database", "host", "port", "sslmode", "user"].map(|it| format!("credentials.{it}"));
    assert_eq!(fields, expected);
    assert_eq!(answer.code(), "validation_error", "several kinds of error");
    let nested = json!({
        "toolName": "a", "operation": "a.read", "projection": [{ "path": ["a", "b"], "leaf": "b", "as": "c" }],
        "inputs": [{ "param": "a", "arg": "a" }, { "param": 1, "arg": "a", "source": "thin air" }],
    });
    let agent = site.agent(&site.http).await;
    let answer = site.http.post(&format!("/agents/{agent}/integrations/postgres/bindings"), nested).await;
    let fields: Vec<String> = wrong(&answer).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["inputs[1].param", "inputs[1].source", "projection[0].as"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_a_number_or_the_same_as_text() {
    let site = Site::start().await;
    let test = async |port: Value| {
        let body = json!({ "credentials": {
            "host": "10.0.0.1", "port": port, "database": "a", "user": "a", "password": "a", "sslmode": "require",
        }});
        site.http.post("/integrations/mysql/sql/test", body).await
    };
    for port in [json!(3306), json!("3306"), json!(1), json!("65535")] {
        assert_eq!(test(port.clone()).await.status, 200, "{port}");
    }
    for port in [
        json!(0),
        json!("0"),
        json!(65536),
        json!("65536"),
        json!(-1),
        json!(""),
        json!("x"),
        json!(1.5),
        json!(null),
    ] {
        let answer = test(port.clone()).await;
        assert_eq!(wrong(&answer)[0].0, "credentials.port", "{port}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_repeated_and_missing_query_parameters_are_named() {
    let site = Site::start().await;
    let answer = site.http.get("/agents?colour=red&limit=1&limit=2").await;
    let mut fields = wrong(&answer);
    fields.sort();
    assert_eq!(fields, [("colour".into(), "unknown_field".into()), ("limit".into(), "repeated".into())]);
    let answer = site.http.get("/integrations/postgres/sql/scripts").await;
    assert_eq!(wrong(&answer), [("database".into(), "required".into())]);
    let answer = site.http.post("/agents?dry=1", json!({ "name": "a" })).await;
    assert_eq!(wrong(&answer), [("dry".into(), "unknown_field".into())]);
    assert_eq!(site.http.get("/integrations/oracle/scoping").await.refusal(404), "unknown_integration_kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_told_with_its_place() {
    let site = Site::start().await;
    let json = Some("application/json");
    for (body, place) in
        [("{\"name\":\n tru}", "line 2"), ("", "the body is empty"), ("{\"name\": \"a\"} x", "line 1")]
    {
        let answer = raw(&site, "POST", "/agents", json, body).await;
        assert_eq!(wrong(&answer)[0].1, "malformed_json", "{body}");
        assert!(text(&answer.body["detail"]).contains(place), "{}", answer.text);
    }
    for body in ["[]", "null", "\"a\"", "7"] {
        assert_eq!(wrong(&raw(&site, "POST", "/agents", json, body).await)[0].1, "wrong_type", "{body}");
    }
    let twice = raw(&site, "POST", "/agents", json, "{\"name\": \"a\", \"name\": \"b\"}").await;
    assert_eq!(twice.status, 400, "which of the two is meant is not known: {}", twice.text);
    let invalid = site.http.request("POST", "/agents").bearer_auth(&site.http.key);
    let invalid = invalid.header("Content-Type", "application/json").body(vec![b'"', 0xff, b'"']);
    assert_eq!(wrong(&site.http.ask(invalid).await)[0].1, "malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_by_its_media_type_and_at_most_a_mebibyte() {
    let site = Site::start().await;
    let body = "{\"name\": \"a\"}";
    for media_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")]
    {
        let answer = raw(&site, "POST", "/agents", media_type, body).await;
        assert_eq!(answer.refusal(415), "unsupported_media_type", "{media_type:?}");
    }
    for media_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(raw(&site, "POST", "/agents", Some(media_type), body).await.status, 201, "{media_type}");
    }
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    let exact = raw(&site, "POST", "/agents", Some("application/json"), &padded(1 << 20)).await;
    assert_eq!(exact.status, 201, "{}", exact.text);
    let above = raw(&site, "POST", "/agents", Some("application/json"), &padded((1 << 20) + 1)).await;
    assert_eq!(above.refusal(413), "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_tells_apart_what_is_nowhere_and_what_takes_other_methods() {
    let site = Site::start().await;
    for path in ["/nothing", "/agents/", "/integrations/postgres/scoping/more", "/"] {
        let answer = site.http.get(path).await;
        assert_eq!(answer.refusal(404), "not_found", "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let tries = [
        ("DELETE", "/agents", "GET,HEAD,POST"),
        ("PUT", "/integrations/postgres/scoping", "GET,HEAD,PATCH"),
        ("GET", "/keys/a", "DELETE,PATCH"),
    ];
    for (method, path, methods) in tries {
        let answer = site.http.send(method, path, None, &[]).await;
        assert_eq!(answer.refusal(405), "method_not_allowed", "{method} {path}");
        let allow = answer.header("allow").unwrap_or_else(|| panic!("Allow on {method} {path}"));
        let mut allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), methods, "{path}");
    }
}
