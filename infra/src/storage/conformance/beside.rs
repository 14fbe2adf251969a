use super::*;
use crate::sealing::Sealed;
use crate::storage::{Abandoned, AnswerSlot, AnswerState, Begun, Settlement, StoreError, Voided};
use domain::limits::IDEMPOTENCY_KEPT;
use events::IntegrationKind::{Mysql, Postgres};

fn sealed(text: &str) -> Sealed {
    Sealed {
        wrapped_key: format!("key of {text}").into_bytes(),
        body: format!("body of {text}").into_bytes(),
    }
}

fn is(found: Option<Sealed>, text: &str) -> bool {
    found == Some(sealed(text))
}

pub async fn artefacts_are_found_by_their_content<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let large = vec![7; 1 << 20];
    let address = Artefacts::put(&*store, &acme(), &large).await.expect("put");
    assert_eq!(Artefacts::put(&*store, &acme(), &large).await.expect("put again"), address);
    let empty = Artefacts::put(&*store, &acme(), b"").await.expect("put");
    assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(Artefacts::get(&*store, &acme(), &address).await, Ok(Some(large)));
    assert_eq!(Artefacts::get(&*store, &acme(), &empty).await, Ok(Some(Vec::new())));
    assert_eq!(Artefacts::get(&*store, &acme(), &"0".repeat(64)).await, Ok(None));
}

pub async fn artefacts_belong_to_one_organization<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let address = Artefacts::put(&*store, &acme(), b"schema").await.expect("put");
    assert_eq!(Artefacts::get(&*store, &"other".into(), &address).await, Ok(None));
}

pub async fn credentials_are_kept_by_version_and_never_overwritten<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let put =
        async |version, text| CredentialStore::put(&*store, &acme(), Postgres, version, &sealed(text)).await;
    assert_eq!(put(1, "one").await, Ok(true));
    assert_eq!(put(2, "two").await, Ok(true));
    assert_eq!(put(1, "other").await, Ok(false));
    let get = async |organization: &str, kind, version| {
        CredentialStore::get(&*store, &organization.into(), kind, version).await.expect("reads")
    };
    assert!(is(get("acme", Postgres, 1).await, "one"));
    assert!(is(get("acme", Postgres, 2).await, "two"));
    assert!(get("acme", Postgres, 3).await.is_none());
    assert!(get("acme", Mysql, 1).await.is_none());
    assert!(get("other", Postgres, 1).await.is_none());
}

pub async fn shredding_destroys_every_version_up_to_the_one_named_and_no_newer_one<
    B: Backend<Store: Store>,
>(
    backend: &B,
) {
    let store = backend.open().await;
    for (organization, kind, version) in [
        ("acme", Postgres, 1),
        ("acme", Postgres, 2),
        ("acme", Postgres, 3),
        ("acme", Mysql, 1),
        ("other", Postgres, 1),
    ] {
        let of = organization.into();
        CredentialStore::put(&*store, &of, kind, version, &sealed("x")).await.expect("put");
    }
    assert_eq!(store.shred(&acme(), Postgres, 2).await, Ok(vec![1, 2]));
    assert_eq!(store.shred(&acme(), Postgres, 2).await, Ok(vec![]));
    let there = async |organization: &str, kind, version| {
        CredentialStore::get(&*store, &organization.into(), kind, version).await.expect("reads").is_some()
    };
    assert!(!there("acme", Postgres, 1).await && !there("acme", Postgres, 2).await);
    assert!(there("acme", Postgres, 3).await);
    assert_eq!(store.shred(&acme(), Postgres, u32::MAX).await, Ok(vec![3]));
    assert!(!there("acme", Postgres, 3).await);
    assert!(there("acme", Mysql, 1).await && there("other", Postgres, 1).await);
}

fn slot(key: &str) -> AnswerSlot {
    AnswerSlot { organization: acme(), key: key.to_owned(), body_hash: "body".to_owned() }
}

async fn begin(store: &dyn AnswerStore, slot: &AnswerSlot) -> Begun {
    store.begin(std::slice::from_ref(slot), noon()).await.expect("begins")
}

fn finished(begun: Begun, state: AnswerState, text: &str) -> bool {
    begun == Begun::Finished { state, sealed: sealed(text) }
}

pub async fn an_answer_is_begun_by_one_and_repeated_to_all<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { begin(&*store, &slot("a")).await == Begun::Fresh })
        })
        .collect();
    let mut fresh = 0;
    for task in tasks {
        fresh += usize::from(task.await.expect("ends"));
    }
    assert_eq!(fresh, 1);
    assert!(begin(&*store, &slot("a")).await == Begun::Running);
    store.finish(&[(slot("a"), sealed("answer"))], AnswerState::Done, None).await.expect("finishes");
    for _ in 0..2 {
        assert!(finished(begin(&*store, &slot("a")).await, AnswerState::Done, "answer"));
    }
    let elsewhere = AnswerSlot { organization: "other".into(), ..slot("a") };
    assert!(begin(&*store, &elsewhere).await == Begun::Fresh);
}

pub async fn another_body_under_the_same_key_is_refused<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let other = AnswerSlot { body_hash: "other".to_owned(), ..slot("a") };
    assert!(begin(&*store, &slot("a")).await == Begun::Fresh);
    assert!(begin(&*store, &other).await == Begun::OtherBody);
    assert!(store.finish(&[(other.clone(), sealed("wrong"))], AnswerState::Done, None).await.is_err());
    store.release(std::slice::from_ref(&other)).await.expect("releases nothing");
    store.finish(&[(slot("a"), sealed("answer"))], AnswerState::Done, None).await.expect("finishes");
    assert!(begin(&*store, &other).await == Begun::OtherBody);
}

pub async fn a_released_answer_may_be_begun_again<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert!(begin(&*store, &slot("a")).await == Begun::Fresh);
    store.release(&[slot("a")]).await.expect("releases");
    assert!(begin(&*store, &slot("a")).await == Begun::Fresh);
}

pub async fn a_finished_answer_stays_as_it_is<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert!(begin(&*store, &slot("a")).await == Begun::Fresh);
    store.finish(&[(slot("a"), sealed("answer"))], AnswerState::Done, None).await.expect("finishes");
    for state in [AnswerState::InDoubt, AnswerState::Done] {
        let refused = store.finish(&[(slot("a"), sealed("other"))], state, None).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    store.release(&[slot("a")]).await.expect("releases nothing");
    assert!(finished(begin(&*store, &slot("a")).await, AnswerState::Done, "answer"));
    assert!(store.finish(&[(slot("never begun"), sealed("x"))], AnswerState::Done, None).await.is_err());
}

pub async fn an_answer_in_doubt_is_settled_once<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert!(begin(&*store, &slot("a")).await == Begun::Fresh);
    store.finish(&[(slot("a"), sealed("doubt"))], AnswerState::InDoubt, None).await.expect("finishes");
    assert!(finished(begin(&*store, &slot("a")).await, AnswerState::InDoubt, "doubt"));
    store.finish(&[(slot("a"), sealed("answer"))], AnswerState::Done, None).await.expect("settles");
    assert!(finished(begin(&*store, &slot("a")).await, AnswerState::Done, "answer"));

    assert!(begin(&*store, &slot("b")).await == Begun::Fresh);
    store.finish(&[(slot("b"), sealed("doubt"))], AnswerState::InDoubt, None).await.expect("finishes");
    store.release(&[slot("b")]).await.expect("nothing had happened");
    assert!(begin(&*store, &slot("b")).await == Begun::Fresh);
}

pub async fn answers_of_a_process_that_died_are_found<B: Backend<Store: Store>>(backend: &B) {
    let dead = backend.open().await;
    for key in ["a", "b", "c", "m"] {
        assert!(begin(&*dead, &slot(key)).await == Begun::Fresh);
    }
    dead.mark(&[slot("m")], &sealed("m")).await.expect("marks");
    dead.finish(&[(slot("b"), sealed("answer"))], AnswerState::Done, None).await.expect("finishes");
    assert_eq!(dead.abandoned().await, Ok(vec![]), "a process does not abandon what it runs");
    drop(dead);

    let store = backend.open().await;
    assert!(begin(&*store, &slot("d")).await == Begun::Fresh);
    let left = |key, evidence| Abandoned { slot: slot(key), evidence };
    assert_eq!(
        store.abandoned().await,
        Ok(vec![left("a", None), left("c", None), left("m", Some(sealed("m")))])
    );
    assert!(begin(&*store, &slot("a")).await == Begun::Running);
    store.release(&[slot("a")]).await.expect("releases");
    assert_eq!(store.abandoned().await, Ok(vec![left("c", None), left("m", Some(sealed("m")))]));
}

pub async fn a_marked_write_is_settled_under_its_evidence_and_no_later_attempt_with_it<
    B: Backend<Store: Store>,
>(
    backend: &B,
) {
    let store = backend.open().await;
    let both = [slot("a"), slot("b")];
    let begin = async || store.begin(&both, noon()).await.expect("begins") == Begun::Fresh;
    let settle = async |evidence: &str, settlement: Settlement<'_>| {
        store.settle(&both, &sealed(evidence), settlement).await.expect("settles")
    };
    assert!(store.mark(&both, &sealed("nobody's")).await.is_err(), "nothing runs");
    assert!(begin().await);
    assert!(!settle("first", Settlement::Nothing).await, "it was not marked");
    store.mark(&both, &sealed("first")).await.expect("marks");
    assert!(store.peek(&both, noon()).await.expect("peeks") == Begun::Running, "its answer may come yet");
    assert!(settle("first", Settlement::InDoubt).await);
    assert!(
        store.mark(&both, &sealed("late")).await.is_err(),
        "it was given up, so it must not be committed"
    );
    for key in &both {
        let found = store.peek(std::slice::from_ref(key), noon()).await.expect("peeks");
        assert!(finished(found, AnswerState::InDoubt, "first"));
    }
    assert!(settle("first", Settlement::Nothing).await);
    assert!(!settle("first", Settlement::Nothing).await, "once");

    assert!(begin().await);
    store.mark(&both, &sealed("second")).await.expect("marks");
    assert!(!settle("first", Settlement::Nothing).await, "who finds out late ends no later attempt");
    assert!(settle("second", Settlement::ForAPerson).await);
    let answers = both.clone().map(|slot| (slot, sealed("answer")));
    assert!(!settle("first", Settlement::Done(&answers, None)).await);
    assert!(settle("second", Settlement::Done(&answers, None)).await);
    assert!(!settle("second", Settlement::InDoubt).await, "what is known is not unlearnt");
    assert!(finished(store.peek(&both, noon()).await.expect("peeks"), AnswerState::Done, "answer"));
}

pub async fn a_settled_write_makes_void_what_a_finished_one_would<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    for key in ["row/1", "row/2"] {
        assert!(begin(&*store, &slot(key)).await == Begun::Fresh);
    }
    store.finish(&[(slot("row/1"), sealed("x"))], AnswerState::Done, None).await.expect("finishes");
    store.mark(&[slot("row/2")], &sealed("evidence")).await.expect("marks");
    let voided = Voided { organization: acme(), prefix: "row/".to_owned(), except: "row/2".to_owned() };
    let answers = [(slot("row/2"), sealed("y"))];
    let settlement = Settlement::Done(&answers, Some(&voided));
    assert_eq!(store.settle(&[slot("row/2")], &sealed("evidence"), settlement).await, Ok(true));
    assert!(begin(&*store, &slot("row/1")).await == Begun::Fresh);
}

pub async fn finished_answers_expire_and_doubtful_ones_do_not<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    for key in ["done", "old", "doubt", "running"] {
        assert!(begin(&*store, &slot(key)).await == Begun::Fresh);
    }
    store.finish(&[(slot("done"), sealed("x"))], AnswerState::Done, None).await.expect("finishes");
    store.finish(&[(slot("old"), sealed("x"))], AnswerState::Done, None).await.expect("finishes");
    store.finish(&[(slot("doubt"), sealed("doubt"))], AnswerState::InDoubt, None).await.expect("finishes");
    let kept = jiff::SignedDuration::try_from(IDEMPOTENCY_KEPT).expect("seven days");
    let late = noon() + kept + jiff::SignedDuration::from_secs(1);
    assert_eq!(store.expire(noon() + kept).await, Ok(0));

    // Whether it was swept or not makes no difference.
    assert!(store.begin(&[slot("old")], late).await.expect("begins") == Begun::Fresh);
    assert_eq!(store.expire(late).await, Ok(1));
    assert!(store.begin(&[slot("done")], late).await.expect("begins") == Begun::Fresh);
    assert!(finished(
        store.begin(&[slot("doubt")], late).await.expect("begins"),
        AnswerState::InDoubt,
        "doubt"
    ));
    assert!(store.begin(&[slot("running")], late).await.expect("begins") == Begun::Running);
}

pub async fn slots_are_taken_together_or_not_at_all<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert!(begin(&*store, &slot("b")).await == Begun::Fresh);
    let both = [slot("a"), slot("b")];
    assert!(store.peek(&both, noon()).await.expect("peeks") == Begun::Running);
    assert!(store.begin(&both, noon()).await.expect("begins") == Begun::Running);
    assert!(store.peek(&[slot("a")], noon()).await.expect("peeks") == Begun::Fresh);
    store.release(&[slot("b")]).await.expect("releases");
    assert!(store.begin(&both, noon()).await.expect("begins") == Begun::Fresh);
    store.release(&both).await.expect("releases both");
    assert!(store.peek(&both, noon()).await.expect("peeks") == Begun::Fresh);
}

pub async fn forgetting_keeps_other_prefixes_and_the_exception<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let elsewhere = AnswerSlot { organization: "other".into(), ..slot("a%/1") };
    let keys = ["a%/1", "a%/2", "a%/3", "a%", "ab/1", "b/1"];
    for slot in keys.map(slot).iter().chain([&elsewhere]) {
        assert!(begin(&*store, slot).await == Begun::Fresh);
        if !["a%/2", "a%/3"].contains(&slot.key.as_str()) {
            store.finish(&[(slot.clone(), sealed("x"))], AnswerState::Done, None).await.expect("finishes");
        }
    }
    let voided = Voided { organization: acme(), prefix: "a%/".to_owned(), except: "a%/2".to_owned() };
    let last = [(slot("a%/2"), sealed("x"))];
    store.finish(&last, AnswerState::Done, Some(&voided)).await.expect("finishes and forgets");
    let mut fresh = Vec::new();
    for slot in keys.map(slot).iter().chain([&elsewhere]) {
        if begin(&*store, slot).await == Begun::Fresh {
            fresh.push((slot.organization.clone(), slot.key.clone()));
        }
    }
    assert_eq!(fresh, [(acme(), "a%/1".to_owned())]);
}
