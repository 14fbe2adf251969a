//! Pages that hold everything once.

use super::connecting;
use crate::engines::{mysql, postgres};
use crate::http::Http;
use crate::site::Site;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn the_pages_of_a_schema_hold_every_object_once() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let path = "/integrations/postgres/schema";
    let whole = site.http.get(&format!("{path}?limit=100")).await;
    let names: Vec<Value> = objects(whole.data()).iter().map(|object| object["name"].clone()).collect();
    assert!(names.len() > 8, "{names:?}");
    assert_eq!(whole.body["pagination"]["total"], names.len());
    for limit in [1, 3] {
        let pages = pages(&site.http, path, limit).await;
        assert_eq!(pages.len(), names.len().div_ceil(limit));
        let paged: Vec<&Value> = pages.iter().flat_map(objects).map(|object| &object["name"]).collect();
        assert_eq!(paged, names.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn lists_of_one_a_page_hold_both_kinds_of_database() {
    let site = Site::start().await;
    for engine in [postgres(), mysql()] {
        let owner = engine.credentials("nowhere", "nobody", "secret");
        let path = format!("/integrations/{}/connect", engine.kind);
        site.http.post(&path, connecting(&owner, true)).await.data();
    }
    for path in ["/integrations", "/integrations/catalog"] {
        let pages = pages(&site.http, path, 1).await;
        let kinds: Vec<&str> = pages.iter().flat_map(objects).filter_map(|it| it["kind"].as_str()).collect();
        assert_eq!((pages.len(), kinds.len()), (2, 2), "{path}");
        assert_eq!(BTreeSet::from_iter(kinds), BTreeSet::from(["mysql", "postgres"]), "{path}");
    }
}

/// The data of every page, in order.
async fn pages(http: &Http, path: &str, limit: usize) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut next = format!("{path}?limit={limit}");
    loop {
        let page = http.get(&next).await;
        assert!(objects(page.data()).len() <= limit, "{}", page.text);
        pages.push(page.data().clone());
        match page.body["pagination"]["nextCursor"].as_str() {
            Some(cursor) => next = format!("{path}?limit={limit}&cursor={cursor}"),
            None => return pages,
        }
    }
}

/// What is listed in a page's data.
fn objects(data: &Value) -> &Vec<Value> {
    data.as_array().or_else(|| data["objects"].as_array()).expect("a list")
}
