//! What a connection does between statements and when answers are lost.

use super::*;
use crate::databases::driver::Connection;
use crate::databases::error::Fault;
use domain::arguments::Bound;

fn argument() -> [Bound; 1] {
    [Bound::Text("a".into())]
}

fn matched(rows: u8, info: &str) -> Vec<u8> {
    let mut ok = vec![0, rows, 0, 0, 0, 0, 0];
    if !info.is_empty() {
        ok.push(info.len() as u8);
        ok.extend_from_slice(info.as_bytes());
    }
    ok
}

#[tokio::test]
async fn a_prepared_read_takes_one_round_trip() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let server = async {
        assert_eq!(peer.prepare(1, 1).await, b"SELECT x FROM t WHERE p = ?");
        peer.rows(1, &[text_row(&["one"])]).await;
        // no preparation before the second execution
        let sent = peer.rows(1, &[text_row(&["two"])]).await;
        // NULL bitmap, new types, VAR_STRING, the text with its length
        assert_eq!(&sent[10..], [0, 1, 253, 0, 1, b'a']);
    };
    let client = async {
        let first = connection.read(&read, &argument(), soon()).await.unwrap();
        let second = connection.read(&read, &argument(), soon()).await.unwrap();
        assert_eq!(first.rows, [["one"]]);
        assert_eq!(second.rows, [["two"]]);
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_statement_that_the_server_forgot_is_prepared_again() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let server = async {
        peer.prepare(1, 1).await;
        peer.rows(1, &[]).await;
        peer.take().await;
        peer.give(1, &error(1615, "Prepared statement needs to be re-prepared")).await;
        let (_, closed) = peer.take().await;
        assert_eq!(closed, [0x19, 7, 0, 0, 0]);
        peer.prepare(1, 1).await;
        peer.rows(1, &[text_row(&["again"])]).await;
    };
    let client = async {
        connection.read(&read, &argument(), soon()).await.unwrap();
        assert_eq!(connection.read(&read, &argument(), soon()).await.unwrap().rows, [["again"]]);
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn old_statements_make_room_on_the_server() {
    let (connection, mut peer) = reading(Engine::MySql);
    let server = async {
        for _ in 0..200 {
            peer.prepare(1, 1).await;
            peer.rows(1, &[]).await;
        }
        peer.prepare(1, 1).await;
        let (_, closed) = peer.take().await;
        assert_eq!(closed[0], 0x19);
        peer.rows(1, &[]).await;
    };
    let client = async {
        for number in 0..201 {
            let read = statement(Action::Read, &format!("SELECT {number} FROM t WHERE p = ?"), 1);
            connection.read(&read, &argument(), soon()).await.unwrap();
        }
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn reads_of_several_travel_together_and_each_gets_his_own_answer() {
    let (connection, mut peer) = reading(Engine::MariaDb);
    assert!(connection.shares());
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let ask = async |value: &str| connection.read(&read, &[Bound::Text(value.into())], soon()).await;
    let server = async {
        peer.prepare(1, 1).await;
        peer.rows(1, &[]).await;
        // All three are there before the first is answered.
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(peer.take().await.1);
        }
        let values: Vec<_> = asked.iter().map(|payload| payload[payload.len() - 1]).collect();
        assert_eq!(values, b"abc");
        for (sequence, packet) in result(1, &[text_row(&["A"])]).iter().enumerate() {
            peer.give(sequence as u8 + 1, packet).await;
        }
        peer.give(1, &error(1690, "BIGINT value is out of range")).await;
        for (sequence, packet) in result(1, &[text_row(&["C"])]).iter().enumerate() {
            peer.give(sequence as u8 + 1, packet).await;
        }
    };
    let client = async {
        ask("first").await.unwrap();
        let (a, b, c) = tokio::join!(ask("a"), ask("b"), ask("c"));
        assert_eq!(a.unwrap().rows, [["A"]]);
        assert!(b.is_err());
        assert_eq!(c.unwrap().rows, [["C"]]);
        assert!(connection.is_usable());
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_connection_that_ends_between_answers_is_lost_for_those_behind() {
    let (connection, mut peer) = reading(Engine::MariaDb);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let ask = async |value: &str| connection.read(&read, &[Bound::Text(value.into())], soon()).await;
    let server = async move {
        peer.prepare(1, 1).await;
        peer.rows(1, &[]).await;
        peer.rows(1, &[text_row(&["A"])]).await;
    };
    let client = async {
        ask("first").await.unwrap();
        let (a, b, c) = tokio::join!(ask("a"), ask("b"), ask("c"));
        assert_eq!(a.unwrap().rows, [["A"]]);
        for lost in [b, c] {
            assert_eq!(lost.unwrap_err().fault, Fault::ConnectionLost);
        }
        assert!(!connection.is_usable());
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn what_cannot_be_read_of_anothers_answer_is_no_violation_of_mine() {
    let (connection, mut peer) = reading(Engine::MariaDb);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let ask = async |value: &str| connection.read(&read, &[Bound::Text(value.into())], soon()).await;
    let server = async move {
        peer.prepare(1, 1).await;
        peer.rows(1, &[]).await;
        peer.take().await;
        peer.give(1, b"\xFB/etc/passwd").await;
    };
    let client = async {
        ask("first").await.unwrap();
        let (a, b) = tokio::join!(ask("a"), ask("b"));
        // Neither knows whose it was; alone, the one it was for meets it again.
        for lost in [a, b] {
            assert_eq!(lost.unwrap_err().fault, Fault::ConnectionLost);
        }
        assert!(!connection.is_usable());
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn mysql_itself_is_sent_one_at_a_time() {
    let (connection, _peer) = reading(Engine::MySql);
    assert!(!connection.shares());
}

/// Runs a write whose execution is answered with `answer`; `commit` says what happens to what follows.
async fn written(
    answer: Option<Vec<u8>>,
    commit: impl AsyncFnOnce(Peer),
) -> (Result<(u64, u64), Fault>, bool) {
    let (mut connection, mut peer) = connected(Engine::MySql, Session::ReadWrite);
    let update = statement(Action::Update, "UPDATE t SET x = 1 WHERE p = ?", 0);
    let server = async move {
        assert_eq!(peer.prepare(0, 0).await, b"COMMIT");
        peer.prepare(1, 0).await;
        peer.take().await;
        match answer {
            Some(answer) => {
                peer.give(1, &answer).await;
                commit(peer).await;
            }
            None => drop(peer),
        }
    };
    let binds = argument();
    let client = connection.write(&update, &binds, soon(), None);
    let (outcome, ()) = tokio::join!(client, server);
    let outcome = outcome.map(|written| (written.matched, written.changed)).map_err(|error| error.fault);
    (outcome, connection.is_usable())
}

#[tokio::test]
async fn one_matched_row_is_committed_and_matched_is_not_changed() {
    let ok = matched(1, "Rows matched: 1  Changed: 0  Warnings: 0");
    let (outcome, usable) = written(Some(ok), async |mut peer| peer.committed().await).await;
    assert_eq!((outcome, usable), (Ok((1, 0)), true));
}

#[tokio::test]
async fn any_other_number_of_rows_is_rolled_back() {
    for rows in [0, 2] {
        let (outcome, usable) =
            written(Some(matched(rows, "")), async |mut peer| assert_eq!(peer.run().await, "ROLLBACK")).await;
        assert_eq!((outcome, usable), (Ok((u64::from(rows), 0)), true));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_changed_nothing() {
    let (outcome, usable) = written(None, async |_| {}).await;
    assert_eq!((outcome, usable), (Err(Fault::ConnectionLost), false));
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_commit_leaves_it_in_doubt() {
    let (outcome, usable) = written(Some(matched(1, "")), async |mut peer| {
        peer.take().await;
    })
    .await;
    assert_eq!((outcome, usable), (Err(Fault::InDoubt), false));
}

#[tokio::test]
async fn a_refused_write_is_rolled_back_and_the_connection_goes_on() {
    let refusal = error(1062, "Duplicate entry 'secret value' for key 'PRIMARY'");
    let (outcome, usable) =
        written(Some(refusal), async |mut peer| assert_eq!(peer.run().await, "ROLLBACK")).await;
    assert_eq!((outcome, usable), (Err(Fault::ConstraintViolated), true));
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let (connection, peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let error = connection.read(&read, &argument(), Instant::now()).await.unwrap_err();
    assert_eq!(error.fault, Fault::StatementTimeout);
    assert!(connection.is_usable());
    drop(connection);
    assert!(peer.rest().await.is_empty());
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_with_a_word_is_lost_not_hostile() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    peer.give(0, &error(4031, "The client was disconnected by the server because of inactivity.")).await;
    let lost = connection.read(&read, &argument(), soon()).await.unwrap_err();
    assert_eq!((lost.fault, connection.is_usable()), (Fault::ConnectionLost, false));
}

#[tokio::test]
async fn other_columns_than_were_compiled_are_a_mismatch() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 2);
    let server = async {
        peer.prepare(1, 1).await;
        peer.rows(1, &[text_row(&["one"])]).await;
    };
    let binds = argument();
    let deadline = soon();
    let (outcome, ()) = tokio::join!(connection.read(&read, &binds, deadline), server);
    assert_eq!(outcome.unwrap_err().fault, Fault::SchemaMismatch);
    assert!(connection.is_usable());
}
