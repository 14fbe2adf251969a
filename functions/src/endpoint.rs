//! What an endpoint declares, and what its handler gets.

mod reply;

pub use reply::{Frames, Measured, POSITION, Reply};

use crate::caller::Caller;
use crate::problem::{Code, Problem};
use crate::services::Services;
use bytes::Bytes;
use events::{CommandId, IntegrationKind, RequestId, Seq};
use http::{HeaderMap, Method, header};
use schemars::{Schema, SchemaGenerator};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

macro_rules! scopes {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// What a key may be minted for. Each endpoint names exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scope {
            $($variant),*
        }

        impl Scope {
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Scope::$variant => $text),* }
            }

            pub fn parse(text: &str) -> Option<Scope> {
                Self::ALL.iter().copied().find(|scope| scope.as_str() == text)
            }
        }
    };
}

scopes! {
    IntegrationsRead = "integrations:read",
    IntegrationsWrite = "integrations:write",
    SkillsRead = "skills:read",
    SkillsWrite = "skills:write",
    SkillsCall = "skills:call",
    AgentsRead = "agents:read",
    AgentsWrite = "agents:write",
    KeysWrite = "keys:write",
    AuditRead = "audit:read",
    SubscriptionsWrite = "subscriptions:write",
}

pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;
pub type Handled = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// Everything that is said of an endpoint, in one place.
pub struct Endpoint {
    /// `<resource>-<verb>`: the operation's id, and the name of its function.
    pub name: &'static str,
    pub method: Method,
    /// Below `/api/v1`, with `{parameters}`.
    pub path: &'static str,
    pub scope: Scope,
    pub summary: &'static str,
    pub query: &'static [QueryParameter],
    pub request: Option<SchemaOf>,
    pub response: SchemaOf,
    pub shape: Shape,
    /// Every status it succeeds with.
    pub success: &'static [u16],
    /// Codes beyond those of every endpoint.
    pub problems: &'static [Code],
    pub repeat: Repeat,
    /// The Lambda that serves it.
    pub function: Function,
    pub handle: fn(Context) -> Handled,
}

impl Endpoint {
    /// Live traffic: answers from memory whose head was confirmed a moment ago, while everything else confirms the
    /// head on each request.
    pub fn is_live(&self) -> bool {
        self.scope == Scope::SkillsCall
    }

    /// Somebody waits on the phone, or tries what that will be like.
    pub fn runs_skills(&self) -> bool {
        self.repeat == Repeat::Own
    }

    /// Whether a request may say how recent the state must be that it is answered from.
    pub fn takes_min_position(&self) -> bool {
        self.method == Method::GET || self.is_live()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    /// A page of a list.
    List,
    /// One thing with a paged list in it.
    Paged,
    /// Server-sent events, until the client leaves.
    Stream,
    /// Messages of another protocol: as JSON, or as server-sent events where they can be streamed.
    Messages,
}

impl Shape {
    /// Takes `limit` and `cursor`.
    pub fn is_paged(self) -> bool {
        match self {
            Shape::List | Shape::Paged => true,
            Shape::One | Shape::Stream | Shape::Messages => false,
        }
    }
}

/// What an `Idempotency-Key` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The endpoint changes nothing, or repeating it is harmless by itself.
    Harmless,
    /// The stored answer is given again.
    Answered,
    /// The endpoint keeps its own record, because it must be durable before a statement is sent.
    Own,
}

/// What a Lambda is given: a role with these grants and no others, memory and time.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    pub grants: &'static [Grant],
    /// CPU grows with it: 1,769 MB are one core.
    pub memory_mb: u32,
    pub timeout: Duration,
}

/// What a function may do beyond what every endpoint may: read the log and its views, and know the keys that API
/// keys are checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Put commits and move heads. Nobody may change or remove a commit.
    Append,
    /// Discovered schemas.
    ReadArtefacts,
    WriteArtefacts,
    /// Read and write kept states of the past.
    KeepPast,
    /// Put sealed credentials; a new data key, and never one that exists.
    SealCredentials,
    /// Read sealed credentials and unwrap their data keys. Only functions that dial have it.
    OpenCredentials,
    /// Delete sealed credentials.
    ShredCredentials,
    /// Keep sealed answers of requests that may be repeated, and open them.
    KeepAnswers,
    /// Ask for discoveries and look how far they are.
    Discoveries,
    /// See how far webhooks are, and what was tried.
    ReadDeliveries,
    /// Move webhooks on, keep what was tried, and forget both.
    WriteDeliveries,
    /// Put events on the deployment's bus.
    PublishEvents,
    /// Read records of live calls.
    ReadCalls,
    /// Keep records of live calls, and how writes in doubt ended.
    KeepCalls,
    /// Know what keys are called.
    ReadNames,
    /// Name keys, and erase their names.
    WriteNames,
    /// Sign where the log ends.
    SignCheckpoints,
    /// Reach customers' databases and webhooks.
    Dial,
    /// Ask the operator's assistant, and read the key of its service.
    AskAssistant,
    /// Wrap the data keys of sealed credentials anew. What they seal stays closed.
    ReencryptCredentials,
    /// Write views and their checkpoints.
    Project,
    /// See which organizations there are, and what of all of them was left behind.
    SeeAllOrganizations,
}

impl Grant {
    pub const ALL: &'static [Grant] = &[
        Grant::Append,
        Grant::ReadArtefacts,
        Grant::WriteArtefacts,
        Grant::KeepPast,
        Grant::SealCredentials,
        Grant::OpenCredentials,
        Grant::ShredCredentials,
        Grant::KeepAnswers,
        Grant::Discoveries,
        Grant::ReadDeliveries,
        Grant::WriteDeliveries,
        Grant::PublishEvents,
        Grant::ReadCalls,
        Grant::KeepCalls,
        Grant::ReadNames,
        Grant::WriteNames,
        Grant::SignCheckpoints,
        Grant::Dial,
        Grant::AskAssistant,
        Grant::ReencryptCredentials,
        Grant::Project,
        Grant::SeeAllOrganizations,
    ];
}

impl Function {
    /// Reads the log.
    pub const READ: Function = Function { grants: &[], memory_mb: 256, timeout: Duration::from_secs(10) };
    /// Folds or hashes a whole log.
    pub const HISTORY: Function = Function { grants: &[], memory_mb: 1769, timeout: Duration::from_secs(28) };
    /// Changes configuration.
    pub const CHANGE: Function =
        Function { grants: &[Grant::Append], memory_mb: 512, timeout: Duration::from_secs(15) };
    /// Waits for another function.
    pub const WAIT: Function = Function { grants: &[], memory_mb: 256, timeout: Duration::from_secs(25) };
    /// Answers for about a minute; the client resumes. The platform lets a function go on, and bills it, when the
    /// client of its stream has left, so this is what a client that left may cost.
    pub const STREAM: Function = Function { grants: &[], memory_mb: 256, timeout: Duration::from_secs(120) };
    /// Talks to a customer's database for as long as the gateway waits.
    pub const DIAL: Function =
        Function { grants: &[Grant::Dial], memory_mb: 512, timeout: Duration::from_secs(28) };
    /// Runs statements while a caller waits: a core of its own for TLS and the answer.
    pub const CALL: Function = Function {
        grants: &[Grant::Dial, Grant::OpenCredentials],
        memory_mb: 1769,
        timeout: Duration::from_secs(28),
    };
}

pub struct QueryParameter {
    pub name: &'static str,
    pub required: bool,
    pub meaning: &'static str,
}

/// A request that was authenticated and may do what it asks.
#[derive(Clone)]
pub struct Context {
    pub services: Arc<Services>,
    pub caller: Caller,
    pub request_id: RequestId,
    pub path: Vec<(&'static str, String)>,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The path as it was asked for.
    pub instance: String,
    /// From the Idempotency-Key when there is one, else made when it is asked for: a live call never asks.
    pub command_id: OnceLock<CommandId>,
}

impl Context {
    pub fn kind(&self) -> Result<IntegrationKind, Problem> {
        IntegrationKind::parse(self.path("kind")).ok_or_else(|| {
            Problem::new(Code::UnknownIntegrationKind, "the kind of database is postgres or mysql")
        })
    }

    /// A parameter of the path.
    ///
    /// # Panics
    /// When the endpoint's path has no such parameter: a defect that its first test finds.
    pub fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| *known == name);
        found.map_or_else(|| panic!("no {{{name}}} in {}", self.instance), |(_, value)| value)
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Refuses a change that was decided on an older version.
    pub fn check_if_match(&self, current: Seq) -> Result<(), Problem> {
        let Some(given) = self.header(header::IF_MATCH) else { return Ok(()) };
        let current_tag = format!("\"{current}\"");
        let matches = given.split(',').map(str::trim).any(|tag| tag == "*" || tag == current_tag);
        if matches { Ok(()) } else { Err(domain::Refusal::StaleVersion { current }.into()) }
    }
}

/// Wraps an async handler for the declaration.
#[macro_export]
macro_rules! handler {
    ($handler:path) => {
        |context| Box::pin($handler(context))
    };
}
