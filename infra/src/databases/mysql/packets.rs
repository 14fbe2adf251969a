//! The packets of the protocol: what we send is put together here, what comes is taken apart here, every length
//! checked. The greeting is read by hand because `mysql_common` 0.38 overflows on one of its lengths.

use super::failure::{Failure, Result, ServerError};
use bytes::{Buf, Bytes};
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::BufMutExt;
use mysql_common::packets::{AuthPlugin, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use std::collections::HashMap;

pub(super) const COM_QUIT: u8 = 0x01;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;

const OK: u8 = 0x00;
const EOF: u8 = 0xFE;
const ERR: u8 = 0xFF;
const LOCAL_INFILE: u8 = 0xFB;

/// utf8mb4_general_ci: MySQL and MariaDB number it alike.
pub(super) const UTF8MB4: u8 = 45;
const STATUS_MORE_RESULTS: u16 = 0x0008;
/// No table has more.
const COLUMNS_MAX: u64 = 4096;

/// What we ask for. Absent on purpose: LOCAL_FILES, MULTI_STATEMENTS, MULTI_RESULTS, COMPRESS, SESSION_TRACK,
/// CAN_HANDLE_EXPIRED_PASSWORDS, and DEPRECATE_EOF, which would make two ways to end a result.
pub(super) const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_FOUND_ROWS)
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB)
    .union(CapabilityFlags::CLIENT_PROTOCOL_41)
    .union(CapabilityFlags::CLIENT_SSL)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA);
/// Without these there is no login that we would take part in.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB);

/// Reads a payload from its start; what is missing or left over is a violation.
pub(super) struct Cursor(pub Bytes);

impl Cursor {
    pub fn take(&mut self, count: usize) -> Result<Bytes> {
        if count > self.0.len() {
            return Err(Failure::Violation("a length that reaches past its packet"));
        }
        Ok(self.0.split_to(count))
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?.get_u8())
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(self.take(2)?.get_u16_le())
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(self.take(4)?.get_u32_le())
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(self.take(8)?.get_u64_le())
    }

    /// A number in one to nine bytes.
    pub fn length(&mut self) -> Result<u64> {
        match self.u8()? {
            small @ 0..=0xFA => Ok(u64::from(small)),
            0xFC => Ok(u64::from(self.u16()?)),
            0xFD => Ok(self.take(3)?.get_uint_le(3)),
            0xFE => self.u64(),
            0xFB | 0xFF => Err(Failure::Violation("a length that is no number")),
        }
    }

    pub fn text(&mut self) -> Result<Bytes> {
        let length = self.length()?;
        self.take(usize::try_from(length).map_err(|_| Failure::Violation("a length beyond all memory"))?)
    }

    fn until_zero(&mut self) -> Result<Bytes> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.take(end.ok_or(Failure::Violation("a text without its end"))?)?;
        self.0.advance(1);
        Ok(text)
    }
}

/// The server's first packet. It comes in clear: nothing of it is shown, and the version is asked again later.
#[derive(Debug)]
pub(super) struct Greeting {
    pub capabilities: CapabilityFlags,
    pub nonce: Vec<u8>,
    pub plugin: Vec<u8>,
}

impl Greeting {
    pub fn parse(payload: Vec<u8>) -> Result<Self> {
        let mut cursor = Cursor(payload.into());
        match cursor.u8()? {
            10 => {}
            ERR => return Err(Failure::Refused(server_error(cursor)?)),
            _ => return Err(Failure::Violation("not the greeting of a MySQL server")),
        }
        cursor.until_zero()?;
        cursor.u32()?;
        let mut nonce = cursor.take(8)?.to_vec();
        cursor.u8()?;
        let low = cursor.u16()?;
        cursor.take(3)?;
        let high = cursor.u16()?;
        let capabilities = CapabilityFlags::from_bits_retain(u32::from(low) | u32::from(high) << 16);
        let nonce_length = cursor.u8()?;
        cursor.take(10)?;
        if !capabilities.contains(NEEDED) {
            return Err(Failure::Violation("a server without a login of this century"));
        }
        let rest = cursor.take(usize::from(nonce_length).saturating_sub(8).max(13))?;
        nonce.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(&rest));
        let plugin = cursor.0.strip_suffix(&[0]).unwrap_or(&cursor.0).to_vec();
        Ok(Self { capabilities, nonce, plugin })
    }
}

pub(super) fn ssl_request() -> Vec<u8> {
    serialized(&SslRequest::new(capabilities(), super::wire::PACKET_BYTES_MAX as u32, UTF8MB4))
}

/// The attributes show an administrator who is connected.
pub(super) fn handshake_response(
    user: &str,
    database: &str,
    plugin: AuthPlugin<'_>,
    answer: &[u8],
) -> Vec<u8> {
    let attributes = HashMap::from([("program_name".to_owned(), "bindery".to_owned())]);
    serialized(&HandshakeResponse::new(
        Some(answer.to_vec()),
        // only chooses the collation: utf8mb4_general_ci
        (8, 0, 0),
        Some(user.as_bytes()),
        Some(database.as_bytes()),
        Some(plugin),
        capabilities(),
        Some(attributes),
        super::wire::PACKET_BYTES_MAX as u32,
    ))
}

fn capabilities() -> CapabilityFlags {
    CAPABILITIES | CapabilityFlags::CLIENT_CONNECT_ATTRS
}

fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut payload = Vec::new();
    packet.serialize(&mut payload);
    payload
}

/// What the server says during a login.
#[derive(Debug)]
pub(super) enum LoginReply {
    Done,
    More(Bytes),
    Switch { plugin: Bytes, challenge: Bytes },
}

impl LoginReply {
    pub fn parse(payload: Bytes) -> Result<Self> {
        let mut cursor = Cursor(payload);
        match cursor.u8()? {
            OK => Ok(LoginReply::Done),
            0x01 => Ok(LoginReply::More(cursor.0)),
            // A bare 0xFE asks for the login of MySQL 4.
            EOF if cursor.0.is_empty() => Ok(LoginReply::Switch {
                plugin: Bytes::from_static(b"mysql_old_password"),
                challenge: cursor.0,
            }),
            EOF => Ok(LoginReply::Switch { plugin: cursor.until_zero()?, challenge: cursor.0 }),
            ERR => Err(Failure::Refused(server_error(cursor)?)),
            _ => Err(Failure::Violation("an unknown packet during login")),
        }
    }
}

pub(super) fn prepare(text: &str) -> Vec<u8> {
    let mut payload = Vec::with_capacity(text.len() + 1);
    payload.push(COM_STMT_PREPARE);
    payload.extend_from_slice(text.as_bytes());
    payload
}

pub(super) fn close(statement: u32) -> Vec<u8> {
    let mut payload = vec![COM_STMT_CLOSE];
    payload.extend_from_slice(&statement.to_le_bytes());
    payload
}

/// A parameter as the binary protocol wants it: the type decides how the server compares and stores it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    pub kind: u8,
    pub unsigned: bool,
    /// `None` is NULL.
    pub value: Option<Vec<u8>>,
}

pub(super) fn execute(statement: u32, parameters: &[Parameter]) -> Vec<u8> {
    let mut payload = vec![COM_STMT_EXECUTE];
    payload.extend_from_slice(&statement.to_le_bytes());
    // no cursor, one iteration
    payload.extend_from_slice(&[0, 1, 0, 0, 0]);
    if parameters.is_empty() {
        return payload;
    }
    let mut nulls = vec![0u8; parameters.len().div_ceil(8)];
    for (at, parameter) in parameters.iter().enumerate() {
        if parameter.value.is_none() {
            nulls[at / 8] |= 1 << (at % 8);
        }
    }
    payload.extend_from_slice(&nulls);
    payload.push(1);
    for parameter in parameters {
        payload.extend_from_slice(&[parameter.kind, if parameter.unsigned { 0x80 } else { 0 }]);
    }
    for value in parameters.iter().filter_map(|parameter| parameter.value.as_ref()) {
        payload.extend_from_slice(value);
    }
    payload
}

/// A text or byte string with its length before it.
pub(super) fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes.len() + 9);
    value.put_lenenc_str(bytes);
    value
}

/// The answer to a preparation.
#[derive(Debug)]
pub(super) struct PrepareReply {
    pub statement: u32,
    pub columns: u16,
    pub parameters: u16,
}

impl PrepareReply {
    pub fn parse(payload: Bytes) -> Result<Self> {
        let mut cursor = Cursor(payload);
        match cursor.u8()? {
            OK => {
                let statement = cursor.u32()?;
                let columns = cursor.u16()?;
                let parameters = cursor.u16()?;
                Ok(Self { statement, columns, parameters })
            }
            ERR => Err(Failure::Refused(server_error(cursor)?)),
            LOCAL_INFILE => Err(LOCAL_INFILE_REFUSED),
            _ => Err(Failure::Violation("an unknown answer to a preparation")),
        }
    }
}

const LOCAL_INFILE_REFUSED: Failure = Failure::Violation("the server asked for a local file");

/// The first packet of an answer to an execution.
#[derive(Debug)]
pub(super) enum ExecuteReply {
    Done(Done),
    Columns(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Rows found, because of CLIENT_FOUND_ROWS.
    pub affected: u64,
    /// What AUTO_INCREMENT gave to the row, 0 when it gave nothing.
    pub inserted: u64,
    /// `Rows matched: 1  Changed: 0  Warnings: 0` after an update.
    pub info: String,
}

impl ExecuteReply {
    pub fn parse(payload: Bytes) -> Result<Self> {
        match payload.first() {
            Some(&OK) => {
                let mut cursor = Cursor(payload.slice(1..));
                let affected = cursor.length()?;
                let inserted = cursor.length()?;
                refuse_more_results(cursor.u16()?)?;
                cursor.u16()?;
                let info = if cursor.0.is_empty() { Bytes::new() } else { cursor.text()? };
                let info = String::from_utf8_lossy(&info).into_owned();
                Ok(Self::Done(Done { affected, inserted, info }))
            }
            Some(&ERR) => Err(Failure::Refused(server_error(Cursor(payload.slice(1..)))?)),
            Some(&LOCAL_INFILE) => Err(LOCAL_INFILE_REFUSED),
            Some(_) => {
                let mut cursor = Cursor(payload);
                let columns = cursor.length()?;
                if columns > COLUMNS_MAX || !cursor.0.is_empty() {
                    return Err(Failure::Violation("a number of columns that no table has"));
                }
                Ok(Self::Columns(columns as usize))
            }
            None => Err(Failure::Violation("an empty answer")),
        }
    }
}

/// One column of an answer, as far as its values are decoded by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnDefinition {
    pub name: Bytes,
    pub kind: u8,
    pub unsigned: bool,
    /// Character set 63: the bytes are no text.
    pub binary: bool,
}

impl ColumnDefinition {
    pub fn parse(payload: Bytes) -> Result<Self> {
        let mut cursor = Cursor(payload);
        if cursor.0.first() == Some(&ERR) {
            cursor.u8()?;
            return Err(Failure::Refused(server_error(cursor)?));
        }
        // catalog, schema, table and its original name
        for _ in 0..4 {
            cursor.text()?;
        }
        let name = cursor.text()?;
        cursor.text()?;
        if cursor.length()? != 12 {
            return Err(Failure::Violation("a column definition of unknown form"));
        }
        let charset = cursor.u16()?;
        cursor.u32()?;
        let kind = cursor.u8()?;
        let flags = cursor.u16()?;
        Ok(Self { name, kind, unsigned: flags & 0x20 != 0, binary: charset == 63 })
    }
}

/// The end of columns or rows, `None` when the packet is something else.
pub(super) fn end(payload: &Bytes) -> Result<Option<()>> {
    match payload.first() {
        Some(&EOF) if payload.len() < 9 => {
            let mut cursor = Cursor(payload.slice(1..));
            cursor.u16()?;
            refuse_more_results(cursor.u16()?)?;
            Ok(Some(()))
        }
        Some(&ERR) => Err(Failure::Refused(server_error(Cursor(payload.slice(1..)))?)),
        Some(_) => Ok(None),
        None => Err(Failure::Violation("an empty packet where a row was due")),
    }
}

fn refuse_more_results(status: u16) -> Result<()> {
    if status & STATUS_MORE_RESULTS != 0 {
        return Err(Failure::Violation("a second result that nothing asked for"));
    }
    Ok(())
}

fn server_error(mut cursor: Cursor) -> Result<ServerError> {
    let code = cursor.u16()?;
    let sqlstate = match cursor.0.first() {
        Some(b'#') => {
            cursor.u8()?;
            let mut state = [0; 5];
            cursor.take(5)?.copy_to_slice(&mut state);
            state.iter().all(u8::is_ascii_alphanumeric).then_some(state)
        }
        Some(_) | None => None,
    };
    Ok(ServerError { code, sqlstate })
}
