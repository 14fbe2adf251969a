//! Who may do what: a matrix over the endpoint list. An endpoint is in it by being in the list.

mod foreign;
mod peppers;
mod powers;
mod world;

use crate::http::{Answer, Http};
use crate::site::{Site, all_scopes};
use events::OrganizationId;
use functions::endpoint::Endpoint;
use functions::{endpoints, key_text, random};
use jiff::Timestamp;
use std::time::Duration;
use world::World;
pub use world::binding;

/// What a request says of who sends it: the Authorization header, or none.
struct Presented {
    condition: &'static str,
    authorization: Option<String>,
}

fn bearer(condition: &'static str, key: &str) -> Presented {
    Presented { condition, authorization: Some(format!("Bearer {key}")) }
}

/// The key with other text before its checksum, which is made right again.
fn resealed(key: &str, change: impl Fn(&str) -> String) -> String {
    let body = change(&key[..key.len() - 6]);
    let crc = random::base62_digits(u64::from(crc32fast::hash(body.as_bytes())));
    let text = format!("{body}{}", str::from_utf8(&crc[5..]).expect("digits"));
    assert!(key_text::parse(&text).is_some(), "only the store can tell that it is no key");
    text
}

fn with_last_changed(text: &str) -> String {
    let last = if text.ends_with('x') { 'y' } else { 'x' };
    format!("{}{last}", &text[..text.len() - 1])
}

/// Everything that is no key in force. Each gets the same 401.
async fn not_in_force(site: &Site) -> Vec<Presented> {
    let key = &site.http.key;
    let all = all_scopes();
    let revoked = site.http_as("default", &all).await;
    let id = key_text::parse(&revoked.key).expect("a key").key_id.to_owned();
    site.http.delete(&format!("/keys/{id}")).await.data();
    let rotated = site.http_as("default", &all).await;
    let id = key_text::parse(&rotated.key).expect("a key").key_id.to_owned();
    let at_once = serde_json::json!({ "overlapMs": 0 });
    site.http.post(&format!("/keys/{id}/rotate"), at_once).await.data();
    let past = Timestamp::now() - Duration::from_secs(1);
    let expired = site.http_until("default", &all, Some(past)).await;
    let other = site.http_as("other", &all).await;
    let secret_of_another = {
        let tail = other.key.rsplit_once('_').expect("a key").1[..32].to_owned();
        resealed(key, |body| format!("{}_{tail}", body.rsplit_once('_').expect("a key").0))
    };
    vec![
        Presented { condition: "no key", authorization: None },
        Presented { condition: "an empty header", authorization: Some(String::new()) },
        bearer("an empty key", ""),
        Presented { condition: "another scheme", authorization: Some(format!("Basic {key}")) },
        Presented { condition: "no scheme", authorization: Some(key.clone()) },
        bearer("malformed", "not-a-key"),
        bearer("cut short", &key[..key.len() - 1]),
        bearer("with something after it", &format!("{key}x")),
        bearer("two keys", &format!("{key}, {key}")),
        bearer("bad CRC", &with_last_changed(key)),
        bearer("unknown key id", &resealed(key, |body| body.replacen(&body[16..28], "AAAAAAAAAAAA", 1))),
        bearer("wrong secret", &resealed(key, with_last_changed)),
        bearer("the secret of another organization's key", &secret_of_another),
        bearer("revoked", &revoked.key),
        bearer("rotated without overlap", &rotated.key),
        bearer("expired", &expired.key),
    ]
}

/// A request that does what the endpoint is for, if it is let in.
async fn send(http: &Http, world: &World, endpoint: &Endpoint, presented: &Presented) -> Answer {
    let mut request = http.request(endpoint.method.as_str(), &world.own_path(endpoint));
    if let Some(authorization) = &presented.authorization {
        request = request.header("Authorization", authorization);
    }
    if endpoint.request.is_some() {
        request = request.json(&world.body_of(endpoint, None));
    }
    http.ask(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_in_force_every_endpoint_answers_the_same_401_and_changes_nothing() {
    let site = Site::start().await;
    let world = World::of_ids_nobody_has();
    let conditions = not_in_force(&site).await;
    let head = site.services.log.head(&OrganizationId::from("default")).await.expect("a head");
    let mut cells = 0;
    for endpoint in endpoints::ALL {
        for presented in &conditions {
            let cell = format!("{} with {}", endpoint.name, presented.condition);
            let answer = send(&site.http, &world, endpoint, presented).await;
            assert_eq!((answer.status, answer.code()), (401, "invalid_api_key"), "{cell}: {}", answer.text);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"bindery\""), "{cell}");
            let expected = "send Authorization: Bearer with an API key that is in force";
            assert_eq!(answer.body["detail"], expected, "{cell}: it must not tell what was wrong");
            for header in ["etag", "x-bindery-position", "ratelimit-limit"] {
                assert_eq!(answer.header(header), None, "{cell}: {header}");
            }
            cells += 1;
        }
    }
    assert_eq!(cells, endpoints::ALL.len() * conditions.len());
    assert!(cells >= 500, "{cells} cells");
    let after = site.services.log.head(&OrganizationId::from("default")).await.expect("a head");
    assert_eq!(after, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_just_the_endpoints_scope_is_refused_and_told_which_it_lacks() {
    let site = Site::start().await;
    let world = World::of_ids_nobody_has();
    for endpoint in endpoints::ALL {
        let scope = endpoint.scope.as_str();
        let others: Vec<&str> = all_scopes().into_iter().filter(|other| *other != scope).collect();
        let lacking = site.http_as("default", &others).await;
        let answer = send(&site.http, &world, endpoint, &bearer("", &lacking.key)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "insufficient_scope"),
            "{}: {}",
            endpoint.name,
            answer.text
        );
        assert_eq!(answer.body["scope"], scope, "{}", endpoint.name);
        assert_eq!(answer.body["detail"], format!("this key lacks the scope {scope}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_just_the_endpoints_scope_is_let_in() {
    let site = Site::start().await;
    let world = World::of_ids_nobody_has();
    for endpoint in endpoints::ALL {
        let only = site.http_as("default", &[endpoint.scope.as_str()]).await;
        let answer = send(&site.http, &world, endpoint, &bearer("", &only.key)).await;
        // With ids that nobody has most find nothing; what matters is that none is stopped at the door.
        let code = answer.code();
        assert!(
            !matches!(answer.status, 401 | 403 | 405 | 415) && answer.status < 500,
            "{}: {code}",
            endpoint.name
        );
        assert_ne!(code, "validation_error", "{}: the matrix must send what it takes", endpoint.name);
    }
}
