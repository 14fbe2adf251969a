//! A way to an engine that a test can hold shut: what is dialled meanwhile waits.

use crate::engines::Engine;
use infra::databases::Credentials;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

pub struct Gate {
    port: u16,
    open: watch::Sender<bool>,
    /// One permit for each connection that arrived.
    arrived: Arc<Semaphore>,
}

impl Gate {
    pub async fn shut(engine: &Engine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (open, arrived, target) = (watch::Sender::new(false), Arc::new(Semaphore::new(0)), engine.port);
        let (opened, count) = (open.subscribe(), arrived.clone());
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                count.add_permits(1);
                tokio::spawn(pass(from, target, opened.clone()));
            }
        });
        Self { port, open, arrived }
    }

    /// The same database through the gate.
    pub fn to(&self, credentials: Credentials) -> Credentials {
        Credentials { port: self.port, ..credentials }
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Ends once one more connection has arrived.
    pub async fn arrival(&self) {
        self.arrived.acquire().await.expect("never closed").forget();
    }
}

#[allow(clippy::disallowed_methods)] // a test's own socket, to the test engine
async fn pass(mut from: TcpStream, port: u16, mut open: watch::Receiver<bool>) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let mut to = TcpStream::connect(("127.0.0.1", port)).await.expect("the engine listens");
    // Either side may end it as it likes.
    let _ = copy_bidirectional(&mut from, &mut to).await;
}
