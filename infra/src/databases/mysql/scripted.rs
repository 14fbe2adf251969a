//! Servers that follow a script, over a pipe in memory: what no MariaDB does, because only MySQL does it or because
//! only an enemy would.

mod hostile;
mod logins;
mod statements;

use super::engine::Engine;
use super::execute::Origin;
use super::link::Link;
use super::wire::Wire;
use super::{Mysql, ServerInfo};
use crate::databases::dial::Dialer;
use crate::databases::driver::{Connection, Credentials, Reader, Session};
use crate::databases::guard::Guard;
use crate::databases::socket::{Budget, Metered};
use crate::secret::Secret;
use domain::limits;
use events::IntegrationKind;
use events::integration::SslMode;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Shape, Source, Statement};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const PASSWORD: &str = "correct horse";
const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const EOF: &[u8] = &[0xFE, 0, 0, 2, 0];

/// The server's end of the pipe.
struct Peer(DuplexStream);

impl Peer {
    async fn take(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).await.unwrap();
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.unwrap();
        (header[3], payload)
    }

    async fn give(&mut self, sequence: u8, payload: &[u8]) {
        // The client may have hung up already, which is what some scripts are about.
        let _ = self.0.write_all(&packet(sequence, payload)).await;
    }

    /// Everything else that the client sends until it hangs up.
    async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }

    /// Answers a preparation.
    async fn prepare(&mut self, parameters: u16, columns: u16) -> Vec<u8> {
        let (sequence, payload) = self.take().await;
        assert_eq!((sequence, payload[0]), (0, 0x16), "a preparation");
        let mut sequence = 1;
        let mut reply = vec![0, 7, 0, 0, 0];
        reply.extend_from_slice(&columns.to_le_bytes());
        reply.extend_from_slice(&parameters.to_le_bytes());
        reply.extend_from_slice(&[0, 0, 0]);
        self.give(sequence, &reply).await;
        for definitions in [parameters, columns] {
            for _ in 0..definitions {
                sequence += 1;
                self.give(sequence, &definition("x", 0xFD)).await;
            }
            if definitions > 0 {
                sequence += 1;
                self.give(sequence, EOF).await;
            }
        }
        payload[1..].to_vec()
    }

    /// Takes an execution and answers with a result of text columns.
    async fn rows(&mut self, columns: u8, rows: &[Vec<u8>]) -> Vec<u8> {
        let (_, payload) = self.take().await;
        assert_eq!(payload[0], 0x17, "an execution");
        for (sequence, packet) in result(columns, rows).iter().enumerate() {
            self.give(sequence as u8 + 1, packet).await;
        }
        payload
    }

    /// Takes the execution of the COMMIT that was prepared before the write.
    async fn committed(&mut self) {
        let (_, payload) = self.take().await;
        assert_eq!(payload[0], 0x17, "an execution");
        self.give(1, OK).await;
    }

    /// Prepares and executes something that answers with OK.
    async fn run(&mut self) -> String {
        let text = self.prepare(0, 0).await;
        let (_, payload) = self.take().await;
        assert_eq!(payload[0], 0x17, "an execution");
        self.give(1, OK).await;
        String::from_utf8(text).unwrap()
    }
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(sequence);
    packet.extend_from_slice(payload);
    packet
}

fn definition(name: &str, kind: u8) -> Vec<u8> {
    let mut definition = vec![3, b'd', b'e', b'f', 0, 0, 0, name.len() as u8];
    definition.extend_from_slice(name.as_bytes());
    definition.extend_from_slice(&[0, 12, 45, 0, 255, 0, 0, 0, kind, 0, 0, 0, 0, 0]);
    definition
}

/// The packets of a result: text columns, then rows as they are given.
fn result(columns: u8, rows: &[Vec<u8>]) -> Vec<Vec<u8>> {
    result_of(&vec![definition("x", 0xFD); columns.into()], rows)
}

fn result_of(definitions: &[Vec<u8>], rows: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let head = [vec![definitions.len() as u8]];
    let end = [EOF.to_vec()];
    [&head, definitions, &end, rows, &end].concat()
}

/// A row of short texts.
fn text_row(values: &[&str]) -> Vec<u8> {
    let mut row = vec![0];
    row.extend(vec![0; (values.len() + 9) / 8]);
    for value in values {
        row.push(value.len() as u8);
        row.extend_from_slice(value.as_bytes());
    }
    row
}

fn error(code: u16, message: &str) -> Vec<u8> {
    let mut error = vec![0xFF];
    error.extend_from_slice(&code.to_le_bytes());
    error.extend_from_slice(b"#HY000");
    error.extend_from_slice(message.as_bytes());
    error
}

fn greeting(version: &str, ssl: bool, plugin: &str) -> Vec<u8> {
    let capabilities: u32 = if ssl { 0x00BF_FFFF } else { 0x00BF_F7FF };
    let mut greeting = vec![10];
    greeting.extend_from_slice(version.as_bytes());
    greeting.extend_from_slice(&[0, 9, 0, 0, 0]);
    greeting.extend_from_slice(&NONCE[..8]);
    greeting.push(0);
    greeting.extend_from_slice(&capabilities.to_le_bytes()[..2]);
    greeting.extend_from_slice(&[255, 2, 0]);
    greeting.extend_from_slice(&capabilities.to_le_bytes()[2..]);
    greeting.push(21);
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(&NONCE[8..]);
    greeting.push(0);
    greeting.extend_from_slice(plugin.as_bytes());
    greeting.push(0);
    greeting
}

fn credentials() -> Credentials {
    Credentials {
        // Never dialled: the guard is shut.
        host: "127.0.0.1".into(),
        port: 3306,
        database: "shop".into(),
        user: "agent".into(),
        password: Secret::new(PASSWORD.into()),
        sslmode: SslMode::VerifyFull,
        ca_pem: None,
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn pipe() -> (Metered<DuplexStream>, Budget, Peer) {
    let (client, server) = duplex(256 * 1024);
    let budget = Budget::new(limits::SOCKET_BUDGET_BYTES);
    (Metered::new(client, budget.clone()), budget, Peer(server))
}

/// A connection that has logged in and is settled, and the server's end of it.
fn connected(engine: Engine, session: Session) -> (Mysql, Peer) {
    let (client, budget, peer) = pipe();
    let link = Link::new(Wire::new(Box::new(client), budget, 0, soon()));
    let origin = Arc::new(Origin {
        dialer: Arc::new(Dialer::new(Guard::default())),
        credentials: credentials(),
        connection: 9,
        machine: "here 1".into(),
        killed: AtomicBool::new(false),
    });
    let server = ServerInfo { engine: engine.name().into(), version: "8.0.36".into(), pooled: false };
    (Mysql::new(link, origin, engine, server, session), peer)
}

/// The same, for reads.
fn reading(engine: Engine) -> (Arc<dyn Reader>, Peer) {
    let (connection, peer) = connected(engine, Session::ReadOnly);
    (Box::new(connection).into_reader(), peer)
}

fn text_shape() -> Shape {
    Shape {
        field_type: FieldType::String,
        native_type: "varchar(50)".into(),
        integer_bytes: None,
        unsigned: false,
        max_length: Some(50),
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    }
}

/// A frozen statement, where it does not matter which.
pub(crate) fn any_read() -> Statement {
    statement(Action::Read, "SELECT 1", 1)
}

/// A frozen statement with one text parameter and so many text columns.
fn statement(action: Action, text: &str, columns: usize) -> Statement {
    Statement {
        dialect: IntegrationKind::Mysql,
        action,
        object: "t".into(),
        text: text.into(),
        hash: text.into(),
        parameters: vec![Parameter {
            name: "p".into(),
            source: Source::Model,
            required: true,
            nullable: false,
            description: None,
            value: None,
            column: "p".into(),
            shape: text_shape(),
        }],
        binds: vec![Bind::Value { parameter: 0 }],
        columns: (0..columns).map(|at| Column { leaf: format!("leaf_{at}"), shape: text_shape() }).collect(),
        limit: 5,
        touches: Vec::new(),
        uses_index: None,
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}
