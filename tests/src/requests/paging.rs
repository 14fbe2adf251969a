//! Lists: their pages, and cursors that fit nothing else.

use super::{text, wrong};
use crate::engines::postgres;
use crate::http::Http;
use crate::site::{Site, all_scopes};
use functions::endpoints;
use serde_json::json;

/// Every id of a list, page by page, and the number of pages.
async fn all(http: &Http, path: &str, member: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = http.get(&format!("{path}{cursor}")).await;
        pages += 1;
        let items = page.data().as_array().expect("a list");
        ids.extend(items.iter().map(|item| item[member].to_string()));
        match page.body["pagination"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (ids, pages),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_everything_once_and_in_order() {
    let site = Site::start().await;
    for number in 0..7 {
        site.http.post("/agents", json!({ "name": format!("{number}") })).await.data();
    }
    let first = site.http.get("/agents?limit=3").await;
    assert_eq!(first.body["pagination"]["limit"], 3);
    assert_eq!(first.body["pagination"]["total"], 7);
    let (paged, pages) = all(&site.http, "/agents?limit=3", "name").await;
    assert_eq!(pages, 3);
    assert_eq!(paged, (0..7).map(|number| format!("\"{number}\"")).collect::<Vec<_>>(), "oldest first");
    let (events, pages) = all(&site.http, "/events?limit=3", "seq").await;
    assert_eq!((events, pages), ((1..=8).map(|seq| seq.to_string()).collect(), 3));
    let (created, _) = all(&site.http, "/events?limit=2&types=AgentCreated", "seq").await;
    assert_eq!(created, (2..=8).map(|seq| seq.to_string()).collect::<Vec<_>>());
    let after = site.http.get("/events?after=5").await;
    assert_eq!(after.data()[0]["seq"], 6);
    let exact = site.http.get("/agents?limit=7").await;
    assert_eq!(exact.body["pagination"]["nextCursor"], json!(null), "a full last page is the last");
    let usual = site.http.get("/agents").await;
    assert_eq!(usual.body["pagination"]["limit"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_between_two_pages_breaks_neither() {
    let site = Site::start().await;
    for number in 0..4 {
        site.http.post("/agents", json!({ "name": format!("{number}") })).await.data();
    }
    let first = site.http.get("/agents?limit=2").await;
    site.http.post("/agents", json!({ "name": "late" })).await.data();
    let cursor = text(&first.body["pagination"]["nextCursor"]);
    let second = site.http.get(&format!("/agents?limit=3&cursor={cursor}")).await;
    let names: Vec<String> =
        second.data().as_array().expect("a list").iter().map(|agent| text(&agent["name"])).collect();
    assert_eq!(names, ["2", "3", "late"], "another limit may go on where a page ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_fits_only_the_list_and_the_organization_that_gave_it() {
    let site = Site::start().await;
    let other = site.http_as("other", &all_scopes()).await;
    for http in [&site.http, &other] {
        for number in 0..3 {
            http.post("/agents", json!({ "name": format!("{number}") })).await.data();
        }
    }
    let cursor = text(&site.http.get("/agents?limit=1").await.body["pagination"]["nextCursor"]);
    let of_events =
        text(&site.http.get("/events?limit=1&types=AgentCreated").await.body["pagination"]["nextCursor"]);
    let mut forged = cursor.clone();
    forged.replace_range(0..1, if cursor.starts_with('A') { "B" } else { "A" });
    let tries = [
        (&other, format!("/agents?limit=1&cursor={cursor}")),
        (&site.http, format!("/keys?limit=1&cursor={cursor}")),
        (&site.http, format!("/events?limit=1&cursor={of_events}")),
        (&site.http, format!("/events?limit=1&types=KeyMinted&cursor={of_events}")),
        (&site.http, format!("/agents?limit=1&cursor={forged}")),
        (&site.http, format!("/agents?limit=1&cursor={}", &cursor[1..])),
        (&site.http, "/agents?cursor=".to_owned()),
        (&site.http, "/agents?cursor=%00".to_owned()),
    ];
    for (http, path) in tries {
        let answer = http.get(&path).await;
        assert_eq!(wrong(&answer)[0].0, "cursor", "{path}");
    }
    let answer = site.http.get(&format!("/agents?limit=2&min_position=1&cursor={cursor}")).await;
    assert_eq!(answer.status, 200, "the page's length and age are no part of the query: {}", answer.text);
    let site = site.restarted(&[]).await;
    let answer = site.http.get(&format!("/agents?limit=1&cursor={cursor}")).await;
    assert_eq!(answer.data()[0]["name"], "1", "a restart does not break a client's paging");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_every_list_is_1_to_100() {
    let site = Site::start().await;
    let engine = postgres();
    site.connect(&site.http, engine, &engine.clinic()).await;
    let agent = site.agent(&site.http).await;
    let hook = json!({ "url": "https://hooks.example/bindery" });
    let subscription = site.http.post("/subscriptions", hook).await.data()["id"].clone();
    let subscription = subscription.as_str().expect("an id");
    let lists = endpoints::ALL.iter().filter(|endpoint| endpoint.shape.is_paged());
    let mut tried = 0;
    for endpoint in lists {
        let required =
            endpoint.query.iter().filter(|it| it.required).map(|it| format!("&{}=patient", it.name));
        let path = endpoint.path.replace("{kind}", "postgres").replace("{agentId}", &agent);
        let path = path.replace("{id}", subscription);
        let path = |limit: &str| format!("{path}?limit={limit}{}", required.clone().collect::<String>());
        for limit in ["1", "100"] {
            let answer = site.http.get(&path(limit)).await;
            assert_eq!(
                answer.body["pagination"]["limit"].to_string(),
                limit,
                "{}: {}",
                endpoint.name,
                answer.text
            );
        }
        for limit in ["0", "101", "-1", "1.5", "x", "", "99999999999"] {
            let answer = site.http.get(&path(limit)).await;
            assert_eq!(wrong(&answer)[0].0, "limit", "{} {limit}", endpoint.name);
        }
        tried += 1;
    }
    assert!(tried >= 8, "{tried} lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_asked_for_by_a_wrong_name_is_told_the_nearest() {
    let site = Site::start().await;
    let answer = site.http.get("/events?types=KeyMintd,Publishd").await;
    assert_eq!(answer.refusal(400), "validation_error");
    assert_eq!(wrong(&answer).len(), 2);
    let nearest = answer.body["errors"].to_string();
    assert!(nearest.contains("KeyMinted") && nearest.contains("Published"), "{nearest}");
    assert_eq!(wrong(&site.http.get("/events?after=x").await)[0].0, "after");
}
