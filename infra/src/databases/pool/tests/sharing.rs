//! Reads of several callers on one connection.

use super::super::lanes::TRIED_AFTER;
use super::super::slots::Want;
use super::*;

/// How many reads a connection is given where they answer so fast.
const MANY: usize = 8;

/// A pool in which everything is as quick as ever, however long the test is kept from running.
fn learnt() -> (Arc<Pool>, Arc<AtomicUsize>) {
    let pool = Arc::new(Pool::default());
    pool.state().lanes.learn(Duration::from_secs(60), Duration::from_micros(500));
    (pool, Arc::new(AtomicUsize::new(0)))
}

/// A part in a connection, opened first if need be, as `Pools::share` makes it.
pub(super) async fn part(pool: &Arc<Pool>, open: &Arc<AtomicUsize>) -> Share {
    match Pool::turn(pool, Want::Share, now()).await.unwrap() {
        Turn::Share(share) => share,
        Turn::Alone(mut checkout) => {
            if checkout.is_empty() {
                checkout.fill(Box::new(Fake::new(open)));
            }
            checkout.share()
        }
    }
}

/// Every connection read from, by as many as there is room for.
async fn all_full(pool: &Arc<Pool>, open: &Arc<AtomicUsize>) -> Vec<Share> {
    let mut parts = Vec::new();
    for _ in 0..limits::POOL_SIZE * MANY {
        parts.push(part(pool, open).await);
    }
    parts
}

#[tokio::test]
async fn reads_fill_one_connection_before_they_take_another() {
    let (pool, open) = learnt();
    let mut parts = Vec::new();
    for _ in 0..MANY {
        parts.push(part(&pool, &open).await);
        assert_eq!(pool.usage().used, 1);
    }
    parts.push(part(&pool, &open).await);
    assert_eq!((pool.usage().used, open.load(Ordering::SeqCst)), (2, 2));
    parts.remove(0);
    parts.push(part(&pool, &open).await);
    assert_eq!(pool.usage().used, 2);
    parts.clear();
    let usage = pool.usage();
    assert_eq!((usage.used, usage.idle, open.load(Ordering::SeqCst)), (0, 2, 2));
}

#[tokio::test]
async fn nobody_joins_a_connection_that_is_slow_or_broken() {
    let (pool, open) = learnt();
    pool.state().lanes.learn(Duration::from_millis(1), Duration::from_micros(500));
    let slow = part(&pool, &open).await;
    std::thread::sleep(Duration::from_millis(4));
    let quick = part(&pool, &open).await;
    assert_eq!(pool.usage().used, 2);
    drop(slow);

    let mut checkout = Pool::checkout(&pool, Session::ReadWrite, now()).await.unwrap();
    checkout.fill(Box::new(Fake::new(&open)));
    drop((quick, checkout));
    let mut checkout = Pool::checkout(&pool, Session::ReadOnly, now()).await.unwrap();
    let fake = Fake::new(&open);
    let usable = fake.usable.clone();
    checkout.fill(Box::new(fake));
    let broken = checkout.share();
    usable.store(false, Ordering::SeqCst);
    let other = part(&pool, &open).await;
    assert_eq!(pool.usage().used, 2);
    drop((broken, other));
}

/// A read that had a connection for itself.
pub(super) async fn took(
    pool: &Arc<Pool>,
    open: &Arc<AtomicUsize>,
    statement: &str,
    millis: u64,
    answered: bool,
) {
    let share = part(pool, open).await;
    let part = share.part();
    pool.state().lanes.ended(&part, part.since + Duration::from_millis(millis), statement, answered);
}

#[tokio::test]
async fn a_statement_that_is_slow_again_and_again_has_a_connection_for_itself() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let want = |statement: &str| pool.state().lanes.plan(statement, Duration::from_secs(5)).want;
    took(&pool, &open, "quick", 1, true).await;
    took(&pool, &open, "slow", 50, true).await;
    assert_eq!(want("slow"), Want::Share, "once may be chance");
    for _ in 0..4 {
        took(&pool, &open, "slow", 50, true).await;
        took(&pool, &open, "quick", 1, true).await;
    }
    let alone = Want::Alone(Session::ReadOnly);
    assert_eq!((want("slow"), want("quick")), (alone, Want::Share));
    let Ok(Turn::Alone(mut checkout)) = Pool::turn(&pool, alone, now()).await else {
        panic!("the pool is empty")
    };
    checkout.fill(Box::new(Fake::new(&open)));
    let slow = checkout.share();
    let quick = part(&pool, &open).await;
    assert_eq!(pool.usage().used, 2, "nobody joins it");
    drop((slow, quick));
    for _ in 0..8 {
        took(&pool, &open, "slow", 1, true).await;
    }
    assert_eq!(want("slow"), Want::Share);
}

#[tokio::test]
async fn who_waits_joins_as_soon_as_one_has_left() {
    let (pool, open) = learnt();
    let mut parts = all_full(&pool, &open).await;
    let mut waiting = Box::pin(Pool::turn(&pool, Want::Share, now() + Duration::from_secs(60)));
    assert!(waiting.as_mut().now_or_never().is_none());
    parts.pop();
    let turn = waiting.now_or_never().unwrap().unwrap();
    assert!(matches!(turn, Turn::Share(_)));
    assert_eq!((pool.usage().used, pool.usage().waiting), (limits::POOL_SIZE, 0));
}

#[tokio::test]
async fn a_write_that_waits_is_not_overtaken_by_reads() {
    let (pool, open) = learnt();
    let mut parts = all_full(&pool, &open).await;
    let patience = now() + Duration::from_secs(60);
    let mut write = Box::pin(Pool::turn(&pool, Want::Alone(Session::ReadWrite), patience));
    assert!(write.as_mut().now_or_never().is_none());
    // There is room for a read from now on, and still it waits for the write.
    parts.pop();
    let mut read = Box::pin(Pool::turn(&pool, Want::Share, patience));
    assert!(read.as_mut().now_or_never().is_none());
    parts.truncate(parts.len() - MANY + 1);
    assert!(matches!(write.now_or_never(), Some(Ok(Turn::Alone(_)))));
    assert!(matches!(read.now_or_never(), Some(Ok(Turn::Share(_) | Turn::Alone(_)))));
}

#[tokio::test]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let (pool, open) = learnt();
    let mut parts = all_full(&pool, &open).await;
    let patience = now() + Duration::from_secs(60);
    let turn = || Box::pin(Pool::turn(&pool, Want::Share, patience));
    let (mut gone, mut served, mut next) = (turn(), turn(), turn());
    for waiting in [&mut gone, &mut served, &mut next] {
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    drop(gone);
    assert_eq!(pool.usage().waiting, 2);
    parts.pop();
    // His turn has come, and he has left before he saw it.
    drop(served);
    assert!(matches!(next.now_or_never(), Some(Ok(Turn::Share(_)))));
}

#[tokio::test]
async fn who_gives_up_in_front_lets_those_behind_join() {
    let (pool, open) = learnt();
    let mut parts = all_full(&pool, &open).await;
    let patience = now() + Duration::from_secs(60);
    let mut write = Box::pin(Pool::turn(&pool, Want::Alone(Session::ReadWrite), patience));
    assert!(write.as_mut().now_or_never().is_none());
    parts.pop();
    let mut read = Box::pin(Pool::turn(&pool, Want::Share, patience));
    assert!(read.as_mut().now_or_never().is_none());
    drop(write);
    assert!(matches!(read.now_or_never(), Some(Ok(Turn::Share(_)))));
}

#[tokio::test]
async fn a_connection_that_is_read_from_when_its_pool_closes_is_closed_by_the_last() {
    let (pool, open) = learnt();
    let (first, last) = (part(&pool, &open).await, part(&pool, &open).await);
    pool.close();
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(open.load(Ordering::SeqCst), 1);
    drop(last);
    until(|| open.load(Ordering::SeqCst) == 0).await;
    assert_eq!((pool.usage().used, pool.usage().idle), (0, 0));
}

#[tokio::test]
async fn what_was_not_answered_does_not_count_as_quick() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let patience = || pool.state().lanes.plan("any", Duration::from_secs(5)).patience;
    assert_eq!(patience(), None);
    took(&pool, &open, "any", 80, true).await;
    let before = patience();
    took(&pool, &open, "any", 1, false).await;
    assert_eq!(patience(), before);
    took(&pool, &open, "any", 1, true).await;
    assert!(patience() < before);
}

#[tokio::test]
async fn who_waited_for_another_is_not_called_slow() {
    let (pool, open) = learnt();
    pool.state().lanes.learn(Duration::from_millis(1), Duration::from_micros(1));
    let (slow, innocent) = (part(&pool, &open).await, part(&pool, &open).await);
    assert_eq!(pool.usage().used, 1);
    let (first, second) = (slow.part(), innocent.part());
    let much = Duration::from_secs(2);
    let patience = |statement| pool.state().lanes.plan(statement, Duration::from_secs(5)).patience;
    let usual = patience("innocent");
    // At its deadline, behind one that goes on.
    pool.state().lanes.ended(&second, second.since + much, "innocent", false);
    assert_eq!(patience("innocent"), usual);
    pool.state().lanes.ended(&first, first.since + much, "slow", false);
    assert!(patience("slow") > usual);
    // And answered as soon as that one was.
    assert!(pool.state().lanes.leave(&first, first.since + much).is_none());
    let answered = first.since + much + Duration::from_millis(1);
    pool.state().lanes.ended(&second, answered, "innocent", true);
    assert_eq!(patience("innocent"), usual);
}

#[test]
fn little_time_is_spent_alone() {
    let pool = Pool::default();
    let want = |millis| pool.state().lanes.plan("any", Duration::from_millis(millis)).want;
    assert_eq!((want(20), want(200)), (Want::Alone(Session::ReadOnly), Want::Share));
}

#[tokio::test]
async fn a_connection_is_given_what_it_answers_in_four_milliseconds() {
    let fit = async |micros: u64| {
        let (pool, open) = learnt();
        pool.state().lanes.learn(Duration::from_secs(60), Duration::from_micros(micros));
        let mut parts = Vec::new();
        while pool.usage().used < 2 {
            parts.push(part(&pool, &open).await);
        }
        parts.len() - 1
    };
    assert_eq!(fit(400).await, 10);
    assert_eq!(fit(10).await, limits::READS_AT_ONCE);
    assert_eq!(fit(2_000).await, 2);
}

/// Two reads at once: whether they shared a connection, and then the server took so long for the second.
async fn two(pool: &Arc<Pool>, open: &Arc<AtomicUsize>, gap: Duration) -> bool {
    let (first, second) = (part(pool, open).await, part(pool, open).await);
    let shared = pool.usage().used == 1;
    let (one, other) = (first.part(), second.part());
    let answered = now();
    let mut state = pool.state();
    state.lanes.ended(&one, answered, "any", true);
    if shared {
        assert!(state.lanes.leave(&one, answered).is_none());
    }
    state.lanes.ended(&other, answered + gap, "any", true);
    drop(state);
    shared
}

#[tokio::test]
async fn nothing_is_shared_where_two_take_too_long_and_that_is_tried_again() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let slow = Duration::from_millis(30);
    assert!(two(&pool, &open, slow).await, "the first two are a trial");
    // The first of the two counts as well.
    for at in 2..TRIED_AFTER {
        took(&pool, &open, "any", 30, true).await;
        if at == TRIED_AFTER / 2 {
            let (_one, _other) = (part(&pool, &open).await, part(&pool, &open).await);
            assert_eq!(pool.usage().used, 2);
        }
    }
    assert!(!two(&pool, &open, slow).await);
    assert!(two(&pool, &open, slow).await, "as many as it takes have been alone");
    assert!(!two(&pool, &open, slow).await);
}

#[tokio::test]
async fn a_trial_that_goes_well_is_followed_by_more() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    pool.state().lanes.learn(Duration::from_secs(60), Duration::from_millis(4));
    for round in 0..100 {
        assert!(two(&pool, &open, Duration::from_micros(100)).await, "{round}");
    }
    let mut parts = Vec::new();
    for _ in 0..MANY {
        parts.push(part(&pool, &open).await);
    }
    assert_eq!(pool.usage().used, 1);
}
