//! What every backend keeps: the same tests run on each.

pub mod appending;
pub mod beside;
pub mod calls;
pub mod conflicts;
pub mod deliveries;
pub mod directory;
pub mod misses;
#[cfg(test)]
pub mod past;
pub mod reading;
pub mod verifying;

use super::calls::CallStore;
use super::deliveries::DeliveryStore;
use super::directory::Directory;
use super::misses::Misses;
use super::{
    AnswerStore, AppendError, Artefacts, Commit, Committed, CredentialStore, EventLog, Expects, PastStates,
};
use async_trait::async_trait;
use events::agent::AgentCreated;
use events::key::KeyMinted;
use events::scoping::{Blocked, ScopingChanged};
use events::{
    Actor, ActorKind, Event, IntegrationKind, OrganizationId, RequestId, Seq, Subject, SubjectKind,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a whole backend is; the log's own tests ask for no more than the log.
pub trait Store:
    EventLog + Artefacts + PastStates + CredentialStore + AnswerStore + DeliveryStore + Directory + Misses
{
}

impl<
    S: EventLog + Artefacts + PastStates + CredentialStore + AnswerStore + DeliveryStore + Directory + Misses,
> Store for S
{
}

/// One place for data, empty at first.
#[async_trait]
pub trait Backend: Send + Sync {
    type Store: EventLog + 'static;

    /// A handle such as a process of its own would have.
    async fn open(&self) -> Arc<Self::Store>;

    /// Changes the log behind the store's back.
    async fn tamper(&self, organization: &OrganizationId, tamper: Tamper);
}

/// Commits are named by the `seq` of their last event.
#[derive(Clone, Debug)]
pub enum Tamper {
    /// One letter of the body becomes another.
    FlipByte(Seq),
    /// The time beside the body, by a microsecond.
    ChangeTime(Seq),
    Remove(Seq),
    /// A copy of this commit, put behind the head.
    Append(Seq),
    /// A commit of one event, put between two others and chained to the one before; the later ones move up by one.
    Insert {
        after: Seq,
    },
    /// Two commits of equally many events change places.
    Swap(Seq, Seq),
    /// The commit of another organization at the same place.
    Foreign(OrganizationId, Seq),
}

/// One place for records of calls, empty at first.
#[async_trait]
pub trait CallBackend: Send + Sync {
    async fn open_calls(&self) -> Arc<dyn CallStore>;
}

/// Makes a test of every function of the suite; `$backend` is an expression that makes a backend.
#[macro_export]
macro_rules! storage_conformance {
    ($backend:expr) => {
        $crate::storage_conformance!(log: $backend);
        $crate::storage_conformance!(beside: $backend);
    };
    (beside: $backend:expr) => {
        $crate::storage_conformance!(@each $backend; beside:
            artefacts_are_found_by_their_content
            artefacts_belong_to_one_organization
            credentials_are_kept_by_version_and_never_overwritten
            shredding_destroys_every_version_up_to_the_one_named_and_no_newer_one
            an_answer_is_begun_by_one_and_repeated_to_all
            another_body_under_the_same_key_is_refused
            a_released_answer_may_be_begun_again
            a_finished_answer_stays_as_it_is
            an_answer_in_doubt_is_settled_once
            a_marked_write_is_settled_under_its_evidence_and_no_later_attempt_with_it
            a_settled_write_makes_void_what_a_finished_one_would
            answers_of_a_process_that_died_are_found
            finished_answers_expire_and_doubtful_ones_do_not
            slots_are_taken_together_or_not_at_all
            forgetting_keeps_other_prefixes_and_the_exception
        );
        $crate::storage_conformance!(@each $backend; past:
            the_nearest_kept_state_is_found
            the_past_is_the_same_whatever_became_of_kept_states
            a_kept_state_saves_the_fold_of_what_is_before_it
            a_state_that_another_service_sealed_is_not_believed
        );
        $crate::storage_conformance!(@each $backend; deliveries:
            a_cursor_moves_only_from_where_it_is
            of_many_who_move_a_cursor_at_once_one_does_and_its_attempt_alone_is_kept
            attempts_are_read_as_they_were_made_newest_first_and_page_by_page
            an_attempt_is_found_by_its_id_and_only_where_it_belongs
            a_forgotten_subscription_leaves_nothing_behind_and_the_others_as_they_are
            a_turn_is_one_holders_until_it_is_given_back_or_ends
            of_many_who_claim_a_turn_at_once_one_has_it
        );
        $crate::storage_conformance!(@each $backend; directory:
            a_name_is_given_changed_and_erased
            names_belong_to_one_organization
        );
        $crate::storage_conformance!(@each $backend; misses:
            a_key_that_is_missed_again_costs_nothing_more
            one_budget_is_nobody_elses
            a_budget_is_whole_again_when_its_time_is_over
            of_many_who_miss_at_once_no_more_are_counted_than_there_is_room_for
        );
    };
    (calls: $backend:expr) => {
        $crate::storage_conformance!(@each $backend; calls:
            calls_are_read_newest_first_and_page_by_page
            each_way_leads_to_its_own_calls
            a_call_is_found_by_its_id_and_only_where_it_belongs
            a_batch_that_is_kept_again_is_there_once
            how_a_doubt_ended_stands_beside_its_call_whichever_came_first
            a_thousand_calls_are_kept_in_one_go
        );
    };
    (log: $backend:expr) => {
        $crate::storage_conformance!(@each $backend; appending:
            events_get_gapless_positions_and_follow_each_other
            time_moves_on_even_when_the_clock_stands_still_or_goes_back
            a_commit_holds_one_to_a_hundred_events
            a_commit_holds_at_most_256_kb
            the_same_command_is_answered_with_what_is_stored
            the_same_command_at_the_same_time_appends_once
            an_answer_that_was_lost_is_found_again
            a_refused_commit_leaves_nothing_behind
            the_state_includes_the_commit_at_once
            what_another_process_appends_is_seen_soon
        );
        $crate::storage_conformance!(@each $backend; conflicts:
            a_stream_that_moved_is_named
            a_head_that_moved_alone_is_no_conflict_for_streams
            a_decision_on_everything_is_refused_when_anything_happened
            a_storm_of_writers_on_one_stream_loses_and_doubles_nothing
            a_storm_of_writers_on_their_own_streams_never_conflicts
        );
        $crate::storage_conformance!(@each $backend; reading:
            reading_starts_and_ends_inside_of_commits
            reading_page_by_page_gives_every_event_once
            organizations_do_not_see_each_other
            a_key_leads_to_the_organization_that_minted_it
            a_key_id_of_another_organization_cannot_be_minted_again
            what_was_written_is_there_after_opening_again
        );
        $crate::storage_conformance!(@each $backend; verifying:
            a_log_that_nobody_touched_holds
            a_flipped_byte_is_named
            a_change_far_down_a_long_log_is_named
            a_changed_time_is_named
            a_removed_commit_is_named
            a_removed_end_is_named
            an_inserted_commit_is_named
            a_commit_put_behind_the_head_is_named
            commits_that_changed_places_are_named
            a_foreign_commit_is_named
        );
    };
    (@each $backend:expr; $module:ident: $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let backend = $backend;
            $crate::storage::conformance::$module::$name(&backend).await;
        }
    )*};
}

pub fn acme() -> OrganizationId {
    OrganizationId::from("acme")
}

pub fn noon() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().expect("a time")
}

pub fn key(id: &str) -> (Subject, Event) {
    let minted = KeyMinted {
        key_id: id.into(),
        scopes: vec!["agents:read".to_owned()],
        secret_hash: "00".repeat(32),
        expires_at: None,
    };
    (Subject::new(SubjectKind::Key, id), minted.into())
}

pub fn agent(id: &str, name: &str) -> (Subject, Event) {
    let created = AgentCreated { name: name.to_owned(), description: None };
    (Subject::new(SubjectKind::Agent, id), created.into())
}

pub fn scoping() -> Subject {
    Subject::new(SubjectKind::Scoping, IntegrationKind::Postgres)
}

/// The stream that may grow for ever.
pub fn blocks(table: &str) -> (Subject, Event) {
    let blocked = Blocked { blocked_tables: BTreeSet::from([table.to_owned()]), ..Blocked::default() };
    (scoping(), ScopingChanged { kind: IntegrationKind::Postgres, blocked }.into())
}

/// Expects nothing: every append is taken.
pub fn commit(organization: &OrganizationId, command: &str, events: Vec<(Subject, Event)>) -> Commit {
    Commit {
        organization: organization.clone(),
        command_id: command.into(),
        actor: Actor { kind: ActorKind::Key, id: "k1".to_owned() },
        request_id: RequestId::from("req_1"),
        cause: None,
        now: noon(),
        expects: Expects::Streams(Vec::new()),
        events,
    }
}

pub async fn append(store: &dyn EventLog, commit: Commit) -> Committed {
    let command = commit.command_id.clone();
    store.append(commit).await.unwrap_or_else(|error| panic!("{command} is taken: {error}"))
}

/// One commit of each of these sizes.
pub async fn fill(store: &dyn EventLog, organization: &OrganizationId, sizes: &[usize]) {
    for (at, size) in sizes.iter().enumerate() {
        let events = (0..*size).map(|event| blocks(&format!("{organization}_{at}_{event}"))).collect();
        append(store, commit(organization, &format!("fill {at}"), events)).await;
    }
}

/// Tells nobody what became of their commits, like a connection that breaks after each.
pub struct LosesAnswers<'s>(pub &'s dyn EventLog);

impl LosesAnswers<'_> {
    pub async fn append(&self, commit: Commit) -> Result<Committed, AppendError> {
        self.0.append(commit).await?;
        Err(AppendError::Store(super::StoreError::Unavailable("the answer was lost".to_owned())))
    }
}

pub fn seqs(events: &[events::Recorded]) -> Vec<u64> {
    events.iter().map(|event| event.seq.0).collect()
}
