//! A database server that goes as far as TLS and records what it is told.

use super::certificates::provider;
use events::IntegrationKind;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

/// What the server does before TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opening {
    Offers,
    /// `N` on PostgreSQL, a greeting without the capability on MySQL.
    Declines,
    /// Offers, and more bytes right behind it, as somebody in between would put them there.
    Stuffs,
    /// Refuses the connection, with a text.
    Complains,
}

/// What the server does when the client was told that TLS may begin.
#[derive(Clone)]
pub enum Inside {
    Tls(Arc<ServerConfig>),
    /// `openssl s_server` with these arguments, for what rustls does not do. The folder holds its certificate.
    OpenSsl(Arc<TempDir>, &'static [&'static str]),
    /// Answers the ClientHello with these.
    Bytes(&'static [u8]),
    HangsUp,
}

#[derive(Clone)]
pub struct Server {
    pub opening: Opening,
    pub inside: Inside,
}

/// Everything that a client let out.
#[derive(Debug, Default)]
pub struct Told {
    /// As it went over the wire, before TLS and in it.
    pub wire: Vec<u8>,
    /// What came out of TLS after the handshake.
    pub inside: Vec<u8>,
}

/// A text of the server, which nobody may be shown: it came without TLS.
pub const COMPLAINT: &str = "buy at evil.example";

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Four bytes of header, then capabilities, packet size, character set and 23 zeros.
const MYSQL_SSL_REQUEST_BYTES: usize = 36;

impl Server {
    /// Takes one connection.
    pub async fn start(&self, kind: IntegrationKind) -> (u16, JoinHandle<Told>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        let served = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let wire = Arc::new(Mutex::new(Vec::new()));
            let socket = Recorded { inner: socket, seen: wire.clone() };
            // An error here is the client hanging up, which is what most of the matrix wants.
            let inside = server.talk(kind, socket).await.unwrap_or_default();
            let wire = wire.lock().unwrap().clone();
            Told { wire, inside }
        });
        (port, served)
    }

    async fn talk(&self, kind: IntegrationKind, mut socket: Recorded) -> io::Result<Vec<u8>> {
        match kind {
            IntegrationKind::Postgres => {
                let mut request = [0; SSL_REQUEST.len()];
                socket.read_exact(&mut request).await?;
                assert_eq!(request, SSL_REQUEST);
                socket.write_all(&self.postgres_answer()).await?;
            }
            IntegrationKind::Mysql => {
                socket.write_all(&self.mysql_greeting()).await?;
                if self.opening == Opening::Offers {
                    socket.read_exact(&mut [0; MYSQL_SSL_REQUEST_BYTES]).await?;
                }
            }
        }
        if self.opening != Opening::Offers {
            socket.read_to_end(&mut Vec::new()).await?;
            return Ok(Vec::new());
        }
        match &self.inside {
            Inside::Tls(config) => {
                let accepting = TlsAcceptor::from(config.clone()).accept(socket).into_fallible();
                let mut stream = match accepting.await {
                    Ok(stream) => stream,
                    Err((error, mut socket)) => {
                        // A socket that is closed with bytes unread is reset, and may take the alert with it.
                        socket.shutdown().await?;
                        socket.read_to_end(&mut Vec::new()).await?;
                        return Err(error);
                    }
                };
                let mut login = vec![0; 4096];
                let length = stream.read(&mut login).await?;
                login.truncate(length);
                Ok(login)
            }
            Inside::OpenSsl(folder, arguments) => openssl(folder, arguments, socket).await,
            Inside::Bytes(bytes) => {
                socket.read_buf(&mut Vec::with_capacity(4096)).await?;
                socket.write_all(bytes).await?;
                socket.read_to_end(&mut Vec::new()).await?;
                Ok(Vec::new())
            }
            Inside::HangsUp => Ok(Vec::new()),
        }
    }

    fn postgres_answer(&self) -> Vec<u8> {
        match self.opening {
            Opening::Offers => b"S".to_vec(),
            Opening::Declines => b"N".to_vec(),
            Opening::Stuffs => b"SR\0\0\0\x08\0\0\0\0".to_vec(),
            Opening::Complains => format!("E\0\0\0\x22SFATAL\0M{COMPLAINT}\0\0").into_bytes(),
        }
    }

    fn mysql_greeting(&self) -> Vec<u8> {
        if self.opening == Opening::Complains {
            let mut refusal = vec![0xFF, 0x69, 0x04]; // ER_HOST_IS_BLOCKED
            refusal.extend_from_slice(COMPLAINT.as_bytes());
            return packet(0, &refusal);
        }
        let capabilities: u32 = if self.opening == Opening::Declines { 0x00BF_F7FF } else { 0x00BF_FFFF };
        let mut greeting = b"\x0a8.0.36\0\x09\0\0\0abcdefgh\0".to_vec();
        greeting.extend_from_slice(&capabilities.to_le_bytes()[..2]);
        greeting.extend_from_slice(&[255, 2, 0]);
        greeting.extend_from_slice(&capabilities.to_le_bytes()[2..]);
        greeting.push(21);
        greeting.extend_from_slice(&[0; 10]);
        greeting.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        let mut sent = packet(0, &greeting);
        if self.opening == Opening::Stuffs {
            sent.extend(packet(2, &[0, 0, 0, 2, 0, 0, 0]));
        }
        sent
    }
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(sequence);
    packet.extend_from_slice(payload);
    packet
}

/// Lets OpenSSL do the handshake; what comes out of TLS it prints.
#[allow(clippy::disallowed_methods, reason = "the test's own server, on loopback")]
async fn openssl(folder: &TempDir, arguments: &[&str], mut socket: Recorded) -> io::Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .current_dir(folder.path())
        .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut printed = BufReader::new(child.stdout.take().expect("it was piped"));
    let mut line = String::new();
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert_ne!(printed.read_line(&mut line).await?, 0, "openssl s_server did not start");
    }
    let port: u16 = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut behind = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // Nobody logs in here: one side ends, and with it the other.
    let _ = tokio::io::copy_bidirectional(&mut socket, &mut behind).await;
    drop(behind);
    drop(child.stdin.take());
    let mut rest = Vec::new();
    printed.read_to_end(&mut rest).await?;
    child.wait().await?;
    Ok(rest)
}

/// A TLS 1.2 server that wants to see a certificate of the client.
pub fn wants_a_client_certificate(shown: super::certificates::Shown, ca: &super::certificates::Ca) -> Inside {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(ca.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&tokio_rustls::rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(shown.chain, shown.key)
        .unwrap();
    Inside::Tls(Arc::new(config))
}

/// Records what is read.
struct Recorded {
    inner: TcpStream,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.seen.lock().unwrap().extend_from_slice(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// A nameserver that has every name at 127.0.0.1, and nothing of IPv6.
pub async fn nameserver() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let labels = packet[12..length].iter().position(|byte| *byte == 0).expect("a name ends");
            let question = &packet[12..12 + labels + 5];
            let is_a = question[labels + 1..labels + 3] == [0, 1];
            let mut reply = packet[..2].to_vec();
            reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            reply.extend(question);
            if is_a {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&reply, from).await.ok();
        }
    });
    address
}
