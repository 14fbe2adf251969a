//! Views that are thrown away and folded again while everything goes on.

use crate::desk::Desk;
use crate::http::Http;
use crate::streaming::Stream;
use crate::webhooks::receiver::{Receiver, Verdict};
use events::{IntegrationKind, OrganizationId};
use functions::start::embedded::Embedded;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Changes that are made meanwhile.
const CHANGES: u64 = 40;

async fn change(http: &Http) {
    for _ in 0..CHANGES {
        http.post("/agents", json!({ "name": "An agent" })).await.data();
    }
}

/// Every event from the first to the last, each once, over as many streams as it takes.
async fn follow(http: &Http, last: u64) {
    let mut position = 0;
    while position < last {
        let mut stream = Stream::open(http, "", Some(position)).await;
        while let Some(frame) = stream.next().await {
            position += 1;
            assert_eq!(frame.id, position);
            if position == last {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_changes_streams_and_webhooks_go_on_while_another_process_rebuilds_the_views() {
    let desk = Desk::open(IntegrationKind::Postgres, include_str!("../../demo/postgres/clinic.sql")).await;
    desk.bind(json!({
        "toolName": "find_patient", "description": "Finds a patient.", "operation": "patients.read",
        "inputs": [{ "param": "phone", "arg": "phone" }],
        "projection": [{ "path": ["patients", "full_name"], "leaf": "name" }],
    }))
    .await;
    desk.publish().await;
    let (site, default) = (&desk.site, OrganizationId::from("default"));
    let receiver = Receiver::start(|_| Verdict::Status(200)).await;
    site.http.post("/subscriptions", json!({ "url": receiver.url, "from": 0 })).await.data();
    let head = site.services.log.head(&default).await.expect("a head");
    let last = head.0 + CHANGES;

    // A store of its own on the same folder, as `bindery projections rebuild` has.
    let beside = Embedded::open(site.folder.path()).await.expect("the folder");
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, of) = (is_over.clone(), default.clone());
    let rebuilding = tokio::spawn(async move {
        let mut rounds = 0;
        while !over.load(Ordering::SeqCst) || rounds == 0 {
            let compared = beside.store.rebuild_projections(&of).await.expect("the log can be folded");
            assert!(compared.equal, "views are never behind here: {compared:?}");
            rounds += 1;
        }
        rounds
    });
    let calls = async {
        for _ in 0..CHANGES {
            let called = desk.call("find_patient", json!({ "phone": "+12025550142" })).await;
            assert_eq!(called["outcome"], "ok", "{called}");
        }
    };
    tokio::join!(change(&site.http), calls, follow(&site.http, last));
    is_over.store(true, Ordering::SeqCst);
    let rounds = rebuilding.await.expect("no rebuild failed");
    receiver.wait_for(usize::try_from(last).expect("few")).await;
    assert_eq!(receiver.assert_in_order(), last);
    let compared = site.embedded.store.compare_projections(&default).await.expect("the log can be folded");
    assert!(compared.equal && compared.head.0 == last, "{compared:?} after {rounds} rebuilds");
    // And what is served is what the log says.
    let site = desk.site.restarted(&[]).await;
    assert_eq!(site.http.get("/agents?limit=1").await.body["pagination"]["total"], CHANGES + 1);
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn functions_go_on_while_their_views_are_rebuilt() {
    use crate::aws::Cloud;
    let cloud = Cloud::deploy().await;
    let _plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await;
    let streams = Http::new(&cloud.stream_url, &http.key);
    let (store, clinic) = (cloud.store().await, OrganizationId::from("clinic"));
    let is_over = AtomicBool::new(false);
    let changing = async {
        change(&http).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let rebuilding = async {
        let mut rounds = 0;
        while !is_over.load(Ordering::SeqCst) || rounds == 0 {
            // The projector may be faster again and again; whoever is, the views are of the log.
            rounds += u32::from(store.rebuild_projections(&clinic).await.is_ok());
        }
        rounds
    };
    let ((), rounds, ()) = tokio::join!(changing, rebuilding, follow(&streams, 1 + CHANGES));
    cloud.sweep().await;
    let compared = store.compare_projections(&clinic).await.expect("the log can be folded");
    assert!(compared.equal && compared.head.0 == 1 + CHANGES, "{compared:?} after {rounds} rebuilds");
    assert_eq!(http.get("/agents?limit=1").await.body["pagination"]["total"], CHANGES);
}
