//! A read from its first try to its answer.

use super::elsewhere::{Asked, Asking, Elsewhere, Question, ask, sooner};
use super::lanes::{LITTLE_TIME, Part, Plan, Share};
use super::slots::{Pool, Want};
use super::{Way, in_line, reopen, seen};
use crate::databases::driver::Session;
use crate::databases::error::Fault;
use crate::databases::{DatabaseError, Rows, afterwards};
use crate::telemetry::{AskedAgain, Measured, tell};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

pub(super) async fn read(way: &Way<'_>, plan: Plan, question: Arc<Question>) -> Result<Rows, DatabaseError> {
    let deadline = question.deadline;
    let share = way.share(plan.want, in_line(deadline), deadline).await?;
    let part = share.part();
    let patience = plan.patience.filter(|_| share.reader().shares());
    let mut first = ask(share, question.clone());
    let asked = match patience {
        None => first.await,
        Some(patience) => match timeout_at((part.since + patience).into(), first.as_mut()).await {
            Ok(asked) => asked,
            Err(_elapsed) => Box::pin(elsewhere_too(way, plan.want, first, part, patience, &question)).await,
        },
    };
    if asked.may_run_again { Box::pin(again(way, plan.want, &question)).await } else { asked.result }
}

/// What is late in one place is asked in another as soon as there is one.
async fn elsewhere_too(
    way: &Way<'_>,
    want: Want,
    mut first: Asking,
    part: Part,
    mut patience: Duration,
    question: &Arc<Question>,
) -> Asked {
    loop {
        let in_time = Instant::now() + LITTLE_TIME < question.deadline;
        let found = if in_time { Pool::elsewhere(&way.pool, part.lane, want) } else { None };
        if let Some(found) = found {
            tell(Measured::AskedAgain { kind: way.kind, why: AskedAgain::Late });
            return sooner(first, ask_at(way, found, question), question).await;
        }
        patience *= 2;
        if let Ok(asked) = timeout_at((Instant::now() + patience).into(), first.as_mut()).await {
            return asked;
        }
    }
}

fn ask_at(way: &Way<'_>, found: Elsewhere, question: &Arc<Question>) -> Asking {
    let (mut checkout, dialling) = match found {
        Elsewhere::Share(share) => return ask(share, question.clone()),
        Elsewhere::Warm(checkout) => return ask(checkout.share(), question.clone()),
        Elsewhere::New(checkout, dialling) => (checkout, dialling),
    };
    let (drivers, kind, source) = (way.drivers.clone(), way.kind, way.source.clone());
    let deadline = question.deadline;
    // A handshake that has begun is brought to its end, whoever answers first: servers count those that break off, and
    // the connection will be of use.
    let opening = afterwards::spawn(async move {
        let opened = reopen(&drivers, kind, &source, &mut checkout, deadline).await;
        drop(dialling);
        opened.map(|()| checkout.share())
    });
    let question = question.clone();
    Box::pin(async move {
        let opened = match opening {
            Some(opening) => opening.await.unwrap_or_else(|_| Err(no_time())),
            None => Err(no_time()),
        };
        match opened {
            Ok(share) if !question.answered.load(Ordering::Relaxed) => ask(share, question).await,
            Ok(_) => no_time().into(),
            Err(error) => error.into(),
        }
    })
}

/// Once more where it was lost, and at last on a new connection of its own, which it can only lose by itself. It had a
/// turn already: it is not told that all are busy.
async fn again(way: &Way<'_>, want: Want, question: &Arc<Question>) -> Result<Rows, DatabaseError> {
    let deadline = question.deadline;
    let busy = |error: DatabaseError| match error.fault {
        Fault::TooManyConnections => no_time(),
        _ => error,
    };
    for last in [false, true] {
        let Some(patience) = deadline.checked_sub(LITTLE_TIME).filter(|patience| Instant::now() < *patience)
        else {
            return Err(no_time());
        };
        tell(Measured::AskedAgain { kind: way.kind, why: AskedAgain::Lost });
        let share = if last {
            alone(way, patience, question).await
        } else {
            way.share(want, patience, deadline).await
        };
        let asked = ask(share.map_err(busy)?, question.clone()).await;
        if !asked.may_run_again {
            return asked.result;
        }
    }
    Err(no_time())
}

async fn alone(way: &Way<'_>, patience: Instant, question: &Question) -> Result<Share, DatabaseError> {
    let waiting = Pool::checkout(&way.pool, Session::ReadOnly, patience);
    let mut checkout = seen::checkout(way.kind, waiting).await?;
    way.reopen(&mut checkout, question.deadline).await?;
    Ok(checkout.share())
}

fn no_time() -> DatabaseError {
    DatabaseError::new(
        Fault::StatementTimeout,
        "The connection was lost, and no other was free in the time that was left to ask again.",
    )
}
