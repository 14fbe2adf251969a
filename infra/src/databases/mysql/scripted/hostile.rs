//! Servers that mean harm once a statement is sent. Each must end in a violation or a timeout: no panic, no byte of a
//! file, no memory for lengths that are only announced.

use super::*;
use crate::databases::error::Fault;
use domain::arguments::Bound;

/// Sends these bytes as the answer to an execution; gives the fault and what the client still sent.
async fn answered(bytes: Vec<u8>) -> (Fault, Vec<u8>) {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let server = async move {
        peer.prepare(1, 1).await;
        peer.take().await;
        let _ = peer.0.write_all(&bytes).await;
        peer
    };
    let client = async {
        let error = connection.read(&read, &[Bound::Text("a".into())], soon()).await.unwrap_err();
        assert!(!connection.is_usable());
        drop(connection);
        error.fault
    };
    let (fault, peer) = tokio::join!(client, server);
    (fault, peer.rest().await)
}

fn answer(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().zip(1..).flat_map(|(payload, sequence)| packet(sequence, payload)).collect()
}

#[tokio::test]
async fn a_local_file_is_never_sent() {
    let (fault, sent) = answered(packet(1, b"\xFB/etc/passwd")).await;
    assert_eq!(fault, Fault::ProtocolViolation);
    assert!(sent.is_empty());
}

#[tokio::test]
async fn lies_about_lengths_and_counts_are_violations() {
    let columns = |count: &[u8]| packet(1, count);
    let mut long_name = definition("x", 0xFD);
    long_name[7] = 250;
    // Rows are looked at when all of them are there.
    let typed = |kind: u8, row: &[u8]| answer(&result_of(&[definition("x", kind)], &[row.to_vec()]));
    let row = |row: &[u8]| typed(0xFD, row);
    let lies = [
        ("4097 columns", columns(&[0xFC, 1, 16])),
        ("2^64 columns", columns(&[0xFE, 255, 255, 255, 255, 255, 255, 255, 255])),
        ("a column count with a tail", columns(&[1, 1])),
        ("an empty answer", columns(&[])),
        ("a packet of 16 MiB", vec![0xFF, 0xFF, 0xFF, 1, 1]),
        ("a name past its packet", answer(&[vec![1], long_name])),
        ("no end of columns", answer(&[vec![1], definition("x", 0xFD), definition("y", 0xFD)])),
        ("a value past its row", row(&[0, 0, 200, b'a'])),
        ("a value of 2^63 bytes", row(&[0, 0, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0x80])),
        ("a value of no length", row(&[0, 0, 0xFB])),
        ("a row with a tail", row(&[0, 0, 1, b'a', b'b'])),
        ("a row of the text protocol", row(&[1, b'a'])),
        ("an empty row", row(&[])),
        ("a type that is none", typed(100, &[0, 0, 1, b'a'])),
        ("a date of 5 bytes", typed(10, &[0, 0, 5, 1, 1, 1, 1, 1])),
        ("an OK cut short", packet(1, &[0, 1])),
        ("a second result", packet(1, &[0, 0, 0, 8, 0, 0, 0])),
        (
            "a second result after rows",
            answer(&[vec![1], definition("x", 0xFD), EOF.to_vec(), vec![0xFE, 0, 0, 8, 0]]),
        ),
        ("a packet out of order", packet(2, OK)),
        ("an error cut short", packet(1, &[0xFF, 1])),
    ];
    for (lie, bytes) in lies {
        assert_eq!(answered(bytes).await.0, Fault::ProtocolViolation, "{lie}");
    }
}

#[tokio::test]
async fn rows_without_end_stop_at_the_budget() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let mut row = vec![0, 0, 0xFC, 0x00, 0x80];
    row.extend(vec![b'a'; 0x8000]);
    let server = async move {
        peer.prepare(1, 1).await;
        peer.take().await;
        let mut sent = 0u64;
        let head = answer(&[vec![1], definition("x", 0xFD), EOF.to_vec()]);
        let mut open = peer.0.write_all(&head).await.is_ok();
        let mut sequence = 4u8;
        while open {
            let packet = packet(sequence, &row);
            sequence = sequence.wrapping_add(1);
            open = peer.0.write_all(&packet).await.is_ok();
            sent += packet.len() as u64;
        }
        sent
    };
    let client = async {
        let found = connection.read(&read, &[Bound::Text("a".into())], soon()).await.unwrap();
        // The first row fits into an answer; the rest was cut, and the connection with it.
        assert_eq!((found.rows.len(), found.truncated), (1, true));
        assert!(!connection.is_usable());
        drop(connection);
    };
    let (sent, ()) = tokio::join!(server, client);
    assert!(sent <= limits::SOCKET_BUDGET_BYTES + 1024 * 1024, "{sent}");
}

#[tokio::test]
async fn one_row_beyond_the_budget_is_a_violation() {
    let mut bytes = answer(&[vec![1], definition("x", 0xFD), EOF.to_vec()]);
    bytes.extend_from_slice(&[0xFE, 0xFF, 0xFF, 4]);
    bytes.extend(vec![0; limits::SOCKET_BUDGET_BYTES as usize + 1024]);
    assert_eq!(answered(bytes).await.0, Fault::ProtocolViolation);
}

#[tokio::test]
async fn more_than_was_asked_for_poisons_the_connection() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let server = async {
        peer.prepare(1, 1).await;
        peer.take().await;
        let mut bytes = answer(&result(1, &[text_row(&["mine"])]));
        bytes.extend(answer(&result(1, &[text_row(&["forged"])])));
        peer.0.write_all(&bytes).await.unwrap();
    };
    let client = async {
        let binds = [Bound::Text("a".into())];
        assert_eq!(connection.read(&read, &binds, soon()).await.unwrap().rows, [["mine"]]);
        let error = connection.read(&read, &binds, soon()).await.unwrap_err();
        assert_eq!(error.fault, Fault::ProtocolViolation);
        assert!(!connection.is_usable());
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_byte_at_a_time_ends_at_the_deadline() {
    let (connection, mut peer) = reading(Engine::MySql);
    let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
    let server = async move {
        peer.prepare(1, 1).await;
        peer.take().await;
        // the head of a packet of 64 KB, and then its payload
        for byte in [0xFF, 0xFF, 0, 1].into_iter().chain(std::iter::repeat(0u8)) {
            if peer.0.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let client = async {
        let start = Instant::now();
        let deadline = start + Duration::from_millis(200);
        let error = connection.read(&read, &[Bound::Text("a".into())], deadline).await.unwrap_err();
        assert_eq!(error.fault, Fault::StatementTimeout);
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(connection);
    };
    tokio::join!(server, client);
}

/// A small generator, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

#[tokio::test]
async fn mangled_answers_never_panic() {
    let kinds = [1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 16, 245, 246, 252, 253];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..400 {
        let kind = kinds[random.next(kinds.len())];
        let mut row = vec![0, 0, 11];
        row.extend((0..11).map(|_| random.next(256) as u8));
        let mut bytes = answer(&[vec![1], definition("x", kind), EOF.to_vec(), row, EOF.to_vec()]);
        for _ in 0..=random.next(3) {
            let at = random.next(bytes.len());
            bytes[at] = random.next(256) as u8;
        }
        let (connection, mut peer) = reading(Engine::MySql);
        let read = statement(Action::Read, "SELECT x FROM t WHERE p = ?", 1);
        let server = async move {
            peer.prepare(1, 1).await;
            peer.take().await;
            let _ = peer.0.write_all(&bytes).await;
            // hanging up ends what waits for more
        };
        let client = async {
            let _ = connection.read(&read, &[Bound::Text("a".into())], soon()).await;
        };
        tokio::join!(client, server);
    }
}
