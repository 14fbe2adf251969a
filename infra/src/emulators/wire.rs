//! The line to AWS as a test holds it: counts what is sent, and cuts it off or answers in AWS's place.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    Open,
    /// Nothing arrives, and that is known at once.
    Cut,
    /// Nothing ever comes back.
    Silent,
    /// AWS answers with success and this body.
    Says(&'static str),
    /// AWS refuses with this code.
    Answers(&'static str),
    /// DynamoDB cancels a transaction of one item for this reason.
    Cancels(&'static str),
}

#[derive(Clone, Debug)]
pub struct Wire(Arc<Held>);

#[derive(Debug)]
struct Held {
    inner: SharedHttpClient,
    line: Mutex<Line>,
    /// What happens to the next requests instead.
    first: Mutex<VecDeque<Line>>,
    sent: Mutex<BTreeMap<String, usize>>,
}

impl Wire {
    /// The same way to AWS, through a line of its own.
    pub fn through(config: &SdkConfig) -> (SdkConfig, Self) {
        let inner = aws_smithy_http_client::Builder::new().build_http();
        let wire = Self(Arc::new(Held {
            inner,
            line: Mutex::new(Line::Open),
            first: Mutex::default(),
            sent: Mutex::default(),
        }));
        (config.to_builder().http_client(wire.clone()).build(), wire)
    }

    pub fn set(&self, line: Line) {
        *self.0.line.lock().expect("not poisoned") = line;
    }

    /// What happens to the next requests, one after the other.
    pub fn first(&self, lines: impl IntoIterator<Item = Line>) {
        self.0.first.lock().expect("not poisoned").extend(lines);
    }

    /// Requests of an operation, attempts that were cut off included.
    pub fn sent(&self, operation: &str) -> usize {
        self.0.sent.lock().expect("not poisoned").get(operation).copied().unwrap_or(0)
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.0.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { wire: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        *self.wire.0.sent.lock().expect("not poisoned").entry(operation).or_default() += 1;
        let first = self.wire.0.first.lock().expect("not poisoned").pop_front();
        match first.unwrap_or(*self.wire.0.line.lock().expect("not poisoned")) {
            Line::Open => self.inner.call(request),
            Line::Cut => {
                let cut = Error::new(ErrorKind::ConnectionReset, "the line is cut");
                HttpConnectorFuture::ready(Err(ConnectorError::io(cut.into())))
            }
            Line::Silent => HttpConnectorFuture::new(std::future::pending()),
            Line::Says(body) => answered(200, body.to_owned()),
            Line::Answers(code) => refused(format!(r#"{{"__type":"{code}","message":"as the test says"}}"#)),
            Line::Cancels(reason) => refused(format!(
                r#"{{"__type":"TransactionCanceledException","CancellationReasons":[{{"Code":"{reason}"}}]}}"#
            )),
        }
    }
}

fn refused(body: String) -> HttpConnectorFuture {
    answered(400, body)
}

fn answered(status: u16, body: String) -> HttpConnectorFuture {
    let status = status.try_into().expect("a status");
    HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
}
