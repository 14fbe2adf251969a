//! A wire in front of a customer's database that counts what passes: what a test calls "no packet" is measured here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Meter {
    pub port: u16,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    connections: AtomicU64,
    /// From the client to the database.
    bytes: AtomicU64,
}

/// What was sent towards the database so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub connections: u64,
    pub bytes: u64,
}

impl Meter {
    /// In front of a server on this machine.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let counted = Arc::<Counted>::default();
        let counting = counted.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(from, port, counting.clone()));
            }
        });
        Self { port: own, counted }
    }

    pub fn sent(&self) -> Sent {
        let Counted { connections, bytes } = &*self.counted;
        Sent { connections: connections.load(Ordering::SeqCst), bytes: bytes.load(Ordering::SeqCst) }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own socket, to the test engine")]
async fn pass(from: TcpStream, port: u16, counted: Arc<Counted>) {
    let to = TcpStream::connect(("127.0.0.1", port)).await.expect("the engine listens");
    let (mut from_client, mut to_client) = from.into_split();
    let (mut from_server, mut to_server) = to.into_split();
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            counted.bytes.fetch_add(read as u64, Ordering::SeqCst);
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    // Either side may end it as it likes.
    let _ = tokio::join!(up, tokio::io::copy(&mut from_server, &mut to_client));
}
