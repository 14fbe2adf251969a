//! Packets: three bytes of length, one of sequence, then the payload. Memory grows with the bytes that arrive, never
//! with a length that was only announced.

use super::failure::{Failure, Result};
use crate::databases::socket::Budget;
use bytes::{Buf, Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout_at;

/// A payload of this length announces that another packet continues it. We send and take none that long.
pub(super) const PACKET_BYTES_MAX: usize = 0xFF_FFFF;
/// A greeting is about 100 bytes; what is longer comes from something else.
const GREETING_BYTES_MAX: usize = 4096;
const READ_CHUNK: usize = 16 * 1024;

pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transport for S {}

/// Reads the greeting and not one byte more: what follows it must go through TLS, or nowhere.
pub(super) async fn read_greeting<S: Transport>(stream: &mut S, deadline: Instant) -> Result<Vec<u8>> {
    let mut header = [0; 4];
    within(deadline, stream.read_exact(&mut header)).await?;
    let (length, sequence) = split_header(header);
    if sequence != 0 {
        return Err(Failure::Violation("the greeting is not numbered 0"));
    }
    if length > GREETING_BYTES_MAX {
        return Err(Failure::Violation("the greeting is too long"));
    }
    let mut payload = vec![0; length];
    within(deadline, stream.read_exact(&mut payload)).await?;
    Ok(payload)
}

/// A server is silent between its greeting and our demand for TLS. Bytes that are there already were put in by
/// somebody who wants them taken for what comes through TLS.
pub(super) async fn expect_silence<S: Transport>(stream: &mut S) -> Result<()> {
    let mut byte = [0; 1];
    let mut buffer = ReadBuf::new(&mut byte);
    match poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer))).await {
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(Failure::Lost),
        Poll::Ready(Ok(())) => Err(Failure::Violation("the server sent bytes before TLS")),
        Poll::Ready(Err(error)) => Err(failure_of(&error)),
    }
}

/// One packet in clear, for the demand for TLS.
pub(super) async fn write_clear<S: Transport>(
    stream: &mut S,
    sequence: u8,
    payload: &[u8],
    deadline: Instant,
) -> Result<()> {
    let mut packet = Vec::with_capacity(payload.len() + 4);
    push_packet(&mut packet, sequence, payload)?;
    within(deadline, stream.write_all(&packet)).await?;
    within(deadline, stream.flush()).await
}

/// A connection's packets, in both directions, until `deadline`.
pub(super) struct Wire {
    stream: Box<dyn Transport>,
    budget: Budget,
    incoming: BytesMut,
    /// Number of the next packet, whoever sends it.
    sequence: u8,
    deadline: Instant,
}

impl Wire {
    /// `sequence` goes on from the packets before TLS.
    pub fn new(stream: Box<dyn Transport>, budget: Budget, sequence: u8, deadline: Instant) -> Self {
        Self { stream, budget, incoming: BytesMut::new(), sequence, deadline }
    }

    /// All that is read and written from now on must be done by `deadline`, within `bytes` from the server.
    pub fn limit(&mut self, deadline: Instant, bytes: u64) {
        self.deadline = deadline;
        self.budget.reset(bytes);
    }

    pub fn extend_deadline(&mut self, deadline: Instant) {
        self.deadline = self.deadline.max(deadline);
    }

    /// Commands that have no answer, then some that have: each is numbered 0.
    pub async fn commands(
        &mut self,
        unanswered: &[Vec<u8>],
        payloads: impl Iterator<Item = &[u8]>,
    ) -> Result<()> {
        if !self.incoming.is_empty() {
            return Err(Failure::Violation("the server sent more than was asked for"));
        }
        let mut packets = Vec::new();
        for payload in unanswered.iter().map(Vec::as_slice) {
            push_packet(&mut packets, 0, payload)?;
        }
        for payload in payloads {
            push_packet(&mut packets, 0, payload)?;
        }
        self.send(&packets).await
    }

    /// What is read from here on answers the next command.
    pub fn next_answer(&mut self) {
        self.sequence = 1;
    }

    /// The next packet of an exchange.
    pub async fn write(&mut self, payload: &[u8]) -> Result<()> {
        let mut packet = Vec::with_capacity(payload.len() + 4);
        push_packet(&mut packet, self.sequence, payload)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&packet).await
    }

    pub async fn read(&mut self) -> Result<Bytes> {
        self.fill(4).await?;
        let (length, sequence) =
            split_header([self.incoming[0], self.incoming[1], self.incoming[2], self.incoming[3]]);
        if length == PACKET_BYTES_MAX {
            return Err(Failure::Violation("a packet of 16 MiB or more"));
        }
        self.fill(4 + length).await?;
        self.incoming.advance(4);
        let payload = self.incoming.split_to(length).freeze();
        if sequence != self.sequence {
            // A server that closes an idle connection says so unasked, as packet 0.
            let farewell = sequence == 0 && self.sequence == 1 && payload.first() == Some(&0xFF);
            return Err(if farewell { Failure::Lost } else { Failure::Violation("a packet out of order") });
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(payload)
    }

    /// Sends what needs no answer and closes TLS in order.
    pub async fn finish(mut self, payload: &[u8]) {
        let mut packet = Vec::with_capacity(payload.len() + 4);
        if push_packet(&mut packet, 0, payload).is_ok() && self.send(&packet).await.is_ok() {
            // The connection is gone either way.
            let _ = within(self.deadline, self.stream.shutdown()).await;
        }
    }

    async fn send(&mut self, packets: &[u8]) -> Result<()> {
        within(self.deadline, self.stream.write_all(packets)).await?;
        within(self.deadline, self.stream.flush()).await
    }

    async fn fill(&mut self, bytes: usize) -> Result<()> {
        while self.incoming.len() < bytes {
            self.incoming.reserve(READ_CHUNK);
            if within(self.deadline, self.stream.read_buf(&mut self.incoming)).await? == 0 {
                return Err(Failure::Lost);
            }
        }
        Ok(())
    }
}

fn split_header(header: [u8; 4]) -> (usize, u8) {
    (u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize, header[3])
}

fn push_packet(packets: &mut Vec<u8>, sequence: u8, payload: &[u8]) -> Result<()> {
    if payload.len() >= PACKET_BYTES_MAX {
        return Err(Failure::Violation("a request of 16 MiB or more"));
    }
    packets.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
    packets.push(sequence);
    packets.extend_from_slice(payload);
    Ok(())
}

async fn within<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> Result<T> {
    match timeout_at(deadline.into(), work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure_of(&error)),
        Err(_elapsed) => Err(Failure::Deadline),
    }
}

fn failure_of(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Failure::Violation("more bytes than the budget"),
        // rustls: a record that does not decrypt
        io::ErrorKind::InvalidData => Failure::Violation("bytes that are not TLS"),
        _ => Failure::Lost,
    }
}
