//! Writes whose end nobody saw. It is found out by asking the customer's database, never by guessing; until then the
//! same write does not run again.
//!
//! Before a write is committed, [`Record`] keeps with its slots what the database can be asked by and what the answer
//! will be. So a slot without that evidence is the slot of a write that was never committed, whoever died; and whoever
//! finds out late settles the attempt of this evidence and no later one.

use super::outcome::{Answer, CallBody};
use crate::clock;
use crate::endpoint::Reply;
use crate::idempotency::{self, Kept};
use crate::problem::Problem;
use crate::services::Services;
use async_trait::async_trait;
use domain::limits::{DOUBT_ASKED_AGAIN, DOUBT_ASKED_AGAIN_MAX, STATEMENT_TIMEOUT};
use events::{AgentId, IntegrationKind, OrganizationId};
use infra::databases::driver::{BeforeCommit, Ending, Trace};
use infra::databases::error::Fault;
use infra::databases::{DatabaseError, Written};
use infra::sealing::{Purpose, SealContext, SealError, Sealed};
use infra::storage::calls::Ended;
use infra::storage::{AnswerSlot, Settlement, StoreError, Voided};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is kept before a commit, sealed: it holds the values that were written.
#[derive(Serialize, Deserialize)]
struct Evidence {
    kind: IntegrationKind,
    /// Keys of all slots of the write, and the hash that they share.
    slots: Vec<String>,
    write: String,
    /// Prefix and exception of what it makes void.
    voided: Option<(String, String)>,
    marked_at: Timestamp,
    /// The record of the call: its agent, and its id.
    #[serde(default)]
    call: Option<CallName>,
    trace: Trace,
    /// What is answered if it was committed.
    reply: Kept,
}

/// Which record a call has: its agent, and the record's id.
pub type CallName = (AgentId, String);

/// A write in doubt, as it is kept.
pub struct Doubt {
    organization: OrganizationId,
    sealed: Sealed,
    evidence: Evidence,
}

/// What asking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its slots say how it ended, or are free again.
    Settled,
    /// Nobody can say yet.
    Open,
    /// The database cannot say, and will not.
    ForAPerson,
}

/// Keeps the evidence of one attempt.
pub struct Record<'a> {
    pub services: &'a Services,
    pub kind: IntegrationKind,
    pub slots: &'a [AnswerSlot],
    pub voided: Option<&'a Voided>,
    pub call: Option<CallName>,
    pub body: &'a (dyn Fn(&Answer) -> Reply + Sync),
    kept: Mutex<Option<Sealed>>,
}

impl<'a> Record<'a> {
    pub fn new(
        services: &'a Services,
        kind: IntegrationKind,
        slots: &'a [AnswerSlot],
        voided: Option<&'a Voided>,
        call: Option<CallName>,
        body: &'a (dyn Fn(&Answer) -> Reply + Sync),
    ) -> Self {
        Self { services, kind, slots, voided, call, body, kept: Mutex::default() }
    }

    /// None: it was not about to be committed, so it was not.
    pub fn evidence(&self) -> Option<Sealed> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn keep(&self, trace: Trace, written: &Written) -> Result<(), Problem> {
        let Some(first) = self.slots.first() else { return Ok(()) };
        let evidence = Evidence {
            kind: self.kind,
            slots: self.slots.iter().map(|slot| slot.key.clone()).collect(),
            write: first.body_hash.clone(),
            voided: self.voided.map(|voided| (voided.prefix.clone(), voided.except.clone())),
            marked_at: clock::now(),
            call: self.call.clone(),
            trace,
            reply: Kept::of(&(self.body)(&Answer::written(written))),
        };
        let plain = serde_json::to_vec(&evidence).expect("evidence is JSON");
        let sealed = self.services.sealer.seal(&context(&first.organization), &plain).await?;
        // From here on the mark may stand, even when it is not heard of.
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(sealed.clone());
        Ok(self.services.answers.mark(self.slots, &sealed).await?)
    }
}

/// What a write is told to before it is committed: it is recorded, and remembered here.
pub struct Marking<'a> {
    record: Option<&'a Record<'a>>,
    seen: Mutex<Option<(Trace, Written, Instant)>>,
}

impl<'a> Marking<'a> {
    pub fn new(record: Option<&'a Record<'a>>) -> Self {
        Self { record, seen: Mutex::default() }
    }

    pub fn seen(&self) -> Option<(Trace, Written, Instant)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl BeforeCommit for Marking<'_> {
    async fn about_to_commit(&self, trace: Trace, written: &Written) -> Result<(), DatabaseError> {
        let seen = (trace.clone(), written.clone(), Instant::now());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let Some(record) = self.record else { return Ok(()) };
        record.keep(trace, written).await.map_err(|problem| {
            tracing::warn!(
                detail = problem.detail,
                "a write was rolled back, for its record could not be kept"
            );
            DatabaseError::new(Fault::RecordUnavailable, "The record of the write could not be kept.")
        })
    }
}

fn context(organization: &OrganizationId) -> SealContext {
    SealContext {
        purpose: Purpose::IdempotentAnswer,
        organization: organization.clone(),
        connection: "evidence".to_owned(),
        version: 1,
    }
}

impl Doubt {
    /// None when it is no evidence that can be read: then nobody but a person can say.
    ///
    /// # Errors
    /// 503 when nothing can be opened now.
    pub async fn open(
        services: &Services,
        organization: &OrganizationId,
        sealed: &Sealed,
    ) -> Result<Option<Self>, Problem> {
        let plain = match services.sealer.open(&context(organization), sealed).await {
            Ok(plain) => plain,
            Err(SealError::DoesNotOpen) => return Ok(None),
            Err(error @ SealError::Unavailable) => return Err(error.into()),
        };
        let Ok(evidence) = serde_json::from_slice(&plain) else { return Ok(None) };
        Ok(Some(Self { organization: organization.clone(), sealed: sealed.clone(), evidence }))
    }

    fn slots(&self) -> Vec<AnswerSlot> {
        let slot = |key: &String| AnswerSlot {
            organization: self.organization.clone(),
            key: key.clone(),
            body_hash: self.evidence.write.clone(),
        };
        self.evidence.slots.iter().map(slot).collect()
    }

    /// Leaves it in doubt, for whoever is asked next.
    pub async fn leave(&self, services: &Services) -> Result<bool, StoreError> {
        services.answers.settle(&self.slots(), &self.sealed, Settlement::InDoubt).await
    }

    /// How long ago its commit was about to be sent.
    fn age(&self) -> Duration {
        Duration::try_from(clock::now().duration_since(self.evidence.marked_at)).unwrap_or_default()
    }

    /// Settles it as somebody says who has looked.
    ///
    /// # Errors
    /// 503 when our own store or key service fails.
    pub async fn end(&self, services: &Services, happened: bool) -> Result<(), Problem> {
        if happened {
            return self.happened(services).await;
        }
        services.answers.settle(&self.slots(), &self.sealed, Settlement::Nothing).await?;
        Ok(())
    }

    /// The same for slots of a write whose evidence cannot be read. What it answered is not known: a repetition hears
    /// that it was done.
    ///
    /// # Errors
    /// As [`Doubt::end`].
    pub async fn end_without_evidence(
        services: &Services,
        slots: &[AnswerSlot],
        sealed: &Sealed,
        happened: bool,
    ) -> Result<(), Problem> {
        if !happened {
            services.answers.settle(slots, sealed, Settlement::Nothing).await?;
            return Ok(());
        }
        let done = Answer::written(&Written { matched: 1, changed: 1, ..Written::default() });
        let reply = Reply::ok(&CallBody::without_rows(&done));
        let mut answers = Vec::with_capacity(slots.len());
        for slot in slots {
            answers.push((slot.clone(), idempotency::seal(services, slot, &reply).await?));
        }
        services.answers.settle(slots, sealed, Settlement::Done(&answers, None)).await?;
        Ok(())
    }

    async fn happened(&self, services: &Services) -> Result<(), Problem> {
        let slots = self.slots();
        let mut answers = Vec::with_capacity(slots.len());
        for slot in &slots {
            let sealed = idempotency::seal_kept(services, slot, &self.evidence.reply).await?;
            answers.push((slot.clone(), sealed));
        }
        let voided = self.evidence.voided.clone().map(|(prefix, except)| Voided {
            organization: self.organization.clone(),
            prefix,
            except,
        });
        let settlement = Settlement::Done(&answers, voided.as_ref());
        services.answers.settle(&slots, &self.sealed, settlement).await?;
        Ok(())
    }
}

impl Services {
    /// Asks once what became of it, and settles its slots when that is known.
    ///
    /// # Errors
    /// 503 when our own store or key service fails: it stays as it is.
    pub async fn find_out(self: &Arc<Self>, doubt: &Doubt, deadline: Instant) -> Result<Found, Problem> {
        let (organization, evidence) = (&doubt.organization, &doubt.evidence);
        let ending = self.ending(organization, evidence.kind, &evidence.trace, doubt.age(), deadline).await?;
        let found = match ending {
            Ending::Committed => {
                doubt.happened(self).await?;
                Found::Settled
            }
            Ending::RolledBack => {
                self.answers.settle(&doubt.slots(), &doubt.sealed, Settlement::Nothing).await?;
                Found::Settled
            }
            Ending::Open => Found::Open,
            Ending::Unknowable => {
                self.answers.settle(&doubt.slots(), &doubt.sealed, Settlement::ForAPerson).await?;
                Found::ForAPerson
            }
        };
        if let (Some((agent, id)), Some(ended)) = (&evidence.call, ended(ending)) {
            self.records.found_out(organization, agent, id, ended).await;
        }
        tracing::info!(%organization, ?found, ended = ?ending, "a write in doubt was asked about");
        Ok(found)
    }

    /// What became of a transaction in an organization's database, as far as it can be asked now.
    ///
    /// # Errors
    /// 503 when our own store fails.
    pub async fn ending(
        self: &Arc<Self>,
        organization: &OrganizationId,
        kind: IntegrationKind,
        trace: &Trace,
        age: Duration,
        deadline: Instant,
    ) -> Result<Ending, Problem> {
        let state = match self.log.warm_state(organization) {
            Some(state) => state,
            None => self.log.state(organization).await?,
        };
        let Ok(connection) = state.connection(kind) else { return Ok(Ending::Open) };
        let _turn = self.manage(organization, kind).await;
        let source = self.credential_source(organization, kind, connection.credential_version);
        Ok(self.pools.ending(kind, &source, trace, age, deadline).await.unwrap_or_else(|error| {
            tracing::info!(%organization, fault = error.fault.as_str(), "a database could not be asked about a write");
            Ending::Open
        }))
    }

    /// The same again and again until the deadline, for somebody who waits.
    ///
    /// # Errors
    /// As [`Services::find_out`].
    pub async fn find_out_by(self: &Arc<Self>, doubt: &Doubt, deadline: Instant) -> Result<Found, Problem> {
        loop {
            let found = self.find_out(doubt, deadline).await?;
            if found != Found::Open || Instant::now() + DOUBT_ASKED_AGAIN >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(DOUBT_ASKED_AGAIN).await;
        }
    }

    /// Asks in the background until it is known, where anything goes on there: elsewhere a sweeper asks.
    pub fn find_out_later(self: &Arc<Self>, doubt: Doubt) {
        if self.deliverer.is_none() {
            return;
        }
        let (services, stopping) = (Arc::downgrade(self), self.stopping.clone());
        tokio::spawn(async move {
            let mut pause = DOUBT_ASKED_AGAIN;
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(DOUBT_ASKED_AGAIN_MAX);
                let Some(services) = services.upgrade() else { return };
                match services.find_out(&doubt, Instant::now() + STATEMENT_TIMEOUT).await {
                    Ok(Found::Settled | Found::ForAPerson) => return,
                    Ok(Found::Open) => {}
                    Err(problem) => {
                        tracing::warn!(detail = problem.detail, "a write in doubt is asked about later")
                    }
                }
            }
        });
    }
}

/// What a record says of it; nothing while the database cannot tell yet.
fn ended(ending: Ending) -> Option<Ended> {
    match ending {
        Ending::Committed => Some(Ended::Committed),
        Ending::RolledBack => Some(Ended::RolledBack),
        Ending::Unknowable => Some(Ended::Unknowable),
        Ending::Open => None,
    }
}
