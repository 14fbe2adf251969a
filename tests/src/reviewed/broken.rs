//! Writes while our own store fails beside them. The customer's database has the last word.

use super::call;
use super::repeats::Desk;
use crate::http::Http;
use crate::site::Site;
use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId};
use functions::server;
use functions::services::Services;
use infra::sealing::{SealContext, SealError, Sealed, Sealer};
use infra::storage::{
    Abandoned, AnswerSlot, AnswerState, AnswerStore, Begun, CredentialStore, Settlement, StoreError, Voided,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

#[tokio::test]
async fn a_write_whose_answer_cannot_be_kept_is_still_answered_and_does_not_run_again() {
    let desk = Desk::open().await;
    let broken = beside(&desk.site, |services| {
        services.answers = Arc::new(KeepsNothing(services.answers.clone()));
    })
    .await;
    let done = call(&broken, &desk.agent, "add_message", message("call-1")).await;
    assert_eq!((done.status, &done.data()["outcome"]), (200, &json!("ok")), "{}", done.text);
    assert_eq!(desk.messages(), "1");
    let again = call(&broken, &desk.agent, "add_message", message("call-1")).await;
    let data = again.data();
    assert_eq!((&data["outcome"], &data["code"]), (&json!("unavailable"), &json!("still_running")));
    assert_eq!(desk.messages(), "1");
}

#[tokio::test]
async fn a_write_whose_answer_could_not_be_sealed_is_refused_before_anything_is_sent() {
    let desk = Desk::open().await;
    let known = call(&desk.site.http, &desk.agent, "add_message", message("call-0")).await;
    let broken = beside(&desk.site, |services| {
        services.sealer = Arc::new(OpensOnly(services.sealer.clone()));
    })
    .await;
    let refused = call(&broken, &desk.agent, "add_message", message("call-1")).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.header("retry-after").is_some());
    let repeated = call(&broken, &desk.agent, "add_message", message("call-0")).await;
    assert_eq!((repeated.status, repeated.data()), (200, known.data()), "what is known is answered");
    assert_eq!(desk.messages(), "1");
    let later = call(&desk.site.http, &desk.agent, "add_message", message("call-1")).await;
    assert_eq!(later.data()["outcome"], "ok", "{}", later.text);
}

#[tokio::test]
async fn a_defect_before_a_write_is_committed_changes_nothing_and_it_may_be_tried_again() {
    let desk = Desk::open().await;
    let broken = beside(&desk.site, |services| services.credentials = Arc::new(Panics)).await;
    let stopped = call(&broken, &desk.agent, "add_message", message("call-1")).await;
    let data = stopped.data();
    assert_eq!((stopped.status, &data["outcome"]), (200, &json!("unavailable")), "{}", stopped.text);
    assert_eq!(data["code"], "internal_error");
    assert_eq!(desk.messages(), "0");
    let again = call(&desk.site.http, &desk.agent, "add_message", message("call-1")).await;
    assert_eq!(again.data()["outcome"], "ok", "{}", again.text);
    assert_eq!(desk.messages(), "1");
}

fn message(call_id: &str) -> Value {
    json!({ "arguments": { "body": "hello" }, "context": { "callId": call_id, "deadlineMs": 1000 } })
}

/// A second server on the site's data folder, with something in it exchanged.
pub async fn beside(site: &Site, exchange: impl FnOnce(&mut Services)) -> Http {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let services = site.embedded.services(site.services.config.clone()).await.expect("nothing to settle");
    let mut services = Arc::into_inner(services).expect("nobody else has begun to use it");
    exchange(&mut services);
    tokio::spawn(server::serve(Arc::new(services), listener, std::future::pending()));
    Http::new(&url, &site.http.key)
}

/// A store that is full when an answer is there.
struct KeepsNothing(Arc<dyn AnswerStore>);

#[async_trait]
impl AnswerStore for KeepsNothing {
    async fn peek(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        self.0.peek(slots, now).await
    }

    async fn begin(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        self.0.begin(slots, now).await
    }

    async fn finish(
        &self,
        _: &[(AnswerSlot, Sealed)],
        _: AnswerState,
        _: Option<&Voided>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("the disk is full".to_owned()))
    }

    async fn release(&self, slots: &[AnswerSlot]) -> Result<(), StoreError> {
        self.0.release(slots).await
    }

    async fn mark(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError> {
        self.0.mark(slots, evidence).await
    }

    async fn settle(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError> {
        self.0.settle(slots, evidence, settlement).await
    }

    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError> {
        self.0.abandoned().await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.0.expire(before).await
    }
}

/// A key service that is down, with the data keys of what is read in memory.
struct OpensOnly(Arc<dyn Sealer>);

#[async_trait]
impl Sealer for OpensOnly {
    async fn seal(&self, _: &SealContext, _: &[u8]) -> Result<Sealed, SealError> {
        Err(SealError::Unavailable)
    }

    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.0.open(context, sealed).await
    }

    async fn prepare(&self, _: &SealContext) -> Result<(), SealError> {
        Err(SealError::Unavailable)
    }
}

/// A defect where a live call needs a new connection.
struct Panics;

#[async_trait]
impl CredentialStore for Panics {
    async fn put(
        &self,
        _: &OrganizationId,
        _: IntegrationKind,
        _: u32,
        _: &Sealed,
    ) -> Result<bool, StoreError> {
        panic!("a defect, made on purpose");
    }

    async fn get(
        &self,
        _: &OrganizationId,
        _: IntegrationKind,
        _: u32,
    ) -> Result<Option<Sealed>, StoreError> {
        panic!("a defect, made on purpose");
    }

    async fn shred(&self, _: &OrganizationId, _: IntegrationKind, _: u32) -> Result<Vec<u32>, StoreError> {
        panic!("a defect, made on purpose");
    }
}
