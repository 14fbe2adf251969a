//! Reads of several callers on one connection.

use super::super::lanes::AT_FIRST;
use super::super::slots::Want;
use super::*;

/// A part in a connection, opened first if need be, as `Pools::share` makes it.
async fn part(pool: &Arc<Pool>, open: &Arc<AtomicUsize>) -> Share {
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
    for _ in 0..limits::POOL_SIZE * AT_FIRST as usize {
        parts.push(part(pool, open).await);
    }
    parts
}

#[tokio::test]
async fn reads_fill_one_connection_before_they_take_another() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let mut parts = Vec::new();
    for _ in 0..AT_FIRST as usize {
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
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let slow = part(&pool, &open).await;
    std::thread::sleep(Duration::from_millis(3));
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

#[tokio::test]
async fn a_statement_that_is_slow_again_and_again_has_a_connection_for_itself() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let took = |statement: &str, millis| {
        pool.state().lanes.took(statement, Duration::from_millis(millis), true);
    };
    let want = |statement: &str| pool.state().lanes.plan(statement, Duration::from_secs(5)).want;
    took("quick", 1);
    took("slow", 50);
    assert_eq!(want("slow"), Want::Share, "once may be chance");
    for _ in 0..4 {
        took("slow", 50);
        took("quick", 1);
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
        took("slow", 1);
    }
    assert_eq!(want("slow"), Want::Share);
}

#[tokio::test]
async fn who_waits_joins_as_soon_as_one_has_left() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
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
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let mut parts = all_full(&pool, &open).await;
    let patience = now() + Duration::from_secs(60);
    let mut write = Box::pin(Pool::turn(&pool, Want::Alone(Session::ReadWrite), patience));
    assert!(write.as_mut().now_or_never().is_none());
    // There is room for a read from now on, and still it waits for the write.
    parts.pop();
    let mut read = Box::pin(Pool::turn(&pool, Want::Share, patience));
    assert!(read.as_mut().now_or_never().is_none());
    parts.truncate(parts.len() - AT_FIRST as usize + 1);
    assert!(matches!(write.now_or_never(), Some(Ok(Turn::Alone(_)))));
    assert!(matches!(read.now_or_never(), Some(Ok(Turn::Share(_) | Turn::Alone(_)))));
}

#[tokio::test]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
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
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
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
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let (first, last) = (part(&pool, &open).await, part(&pool, &open).await);
    pool.close();
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(open.load(Ordering::SeqCst), 1);
    drop(last);
    while open.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((pool.usage().used, pool.usage().idle), (0, 0));
}

#[test]
fn what_was_not_answered_does_not_count_as_quick() {
    let pool = Pool::default();
    let patience = || pool.state().lanes.plan("any", Duration::from_secs(5)).patience;
    assert_eq!(patience(), None);
    let far = Duration::from_millis(80);
    pool.state().lanes.took("any", far, true);
    let before = patience();
    pool.state().lanes.took("any", Duration::from_millis(1), false);
    assert_eq!(patience(), before);
    pool.state().lanes.took("any", Duration::from_millis(1), true);
    assert!(patience() < before);
}

#[test]
fn little_time_is_spent_alone() {
    let pool = Pool::default();
    let want = |millis| pool.state().lanes.plan("any", Duration::from_millis(millis)).want;
    assert_eq!((want(20), want(200)), (Want::Alone(Session::ReadOnly), Want::Share));
}

#[tokio::test]
async fn only_so_many_ask_twice_and_none_while_others_wait() {
    let pool = Arc::new(Pool::default());
    let places = |pool: &Arc<Pool>| std::iter::from_fn(|| Pool::second_place(pool, true)).count();
    // A place each, given back at once.
    assert_eq!(places(&pool), 10);
    for _ in 0..31 {
        pool.state().lanes.took("any", Duration::from_millis(1), true);
    }
    assert_eq!(places(&pool), 1);
    for _ in 0..160 {
        pool.state().lanes.took("any", Duration::from_millis(1), true);
    }
    assert!(Pool::second_place(&pool, false).is_none(), "nothing is warm");
    let open = Arc::new(AtomicUsize::new(0));
    drop(part(&pool, &open).await);
    assert!(Pool::second_place(&pool, false).is_some());
    let _taken = all_taken(&pool).await;
    assert!(Pool::second_place(&pool, true).is_none());
}

#[tokio::test]
async fn a_connection_is_given_what_it_answers_in_four_milliseconds() {
    // How many fit on one connection that answered with so many microseconds in between.
    let fit = async |micros: u64| {
        let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
        let mut parts = vec![part(&pool, &open).await];
        let (came, mut at) = (now(), now());
        for _ in 0..200 {
            at += Duration::from_micros(micros);
            // Of a read that is not there, so that the connection stays as it is.
            assert!(pool.state().lanes.leave(0, u64::MAX, came, at).is_none());
        }
        while pool.usage().used < 2 {
            parts.push(part(&pool, &open).await);
        }
        parts.len() - 1
    };
    assert!((9..=11).contains(&fit(400).await));
    assert_eq!(fit(10).await, limits::READS_AT_ONCE);
    assert_eq!(fit(50_000).await, 2);
}
