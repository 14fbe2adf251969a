//! Every instrument that something is recorded with. Names and units are those of OpenTelemetry's semantic conventions
//! where they have one; docs/operations.md explains all of them.

use super::attributes::{failing, method_name, of_request};
use super::bound::Bound;
use super::spans::Tracing;
use super::{Answered, Begun, Happened, Listener, Route};
use crate::endpoint::Endpoint;
use events::IntegrationKind;
use http::HeaderMap;
use infra::databases::driver::Ending;
use infra::telemetry::{Appended, AskedAgain, Measured, operation_name, system_name};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, BoundUpDownCounter, Counter, Histogram, Meter};

pub(super) const REQUESTS: &str = "http.server.request.duration";
/// Seconds. The finest are for a live call on a warm connection, the coarsest for one that ends at its limit.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

type Seconds<K> = Bound<K, BoundHistogram<f64>>;
type Count<K> = Bound<K, BoundCounter<u64>>;
/// A database's kind, and another word.
type Words = (&'static str, &'static str);

pub struct Meters {
    tracing: Option<Tracing>,
    requests: Seconds<(Route, &'static str, u16)>,
    in_flight: BoundUpDownCounter<i64>,
    calls: Seconds<Words>,
    call_databases: Seconds<Words>,
    statements: Seconds<(&'static str, &'static str, &'static str)>,
    waits: Seconds<&'static str>,
    timeouts: Count<&'static str>,
    openings: Seconds<Words>,
    asked_again: Count<Words>,
    breakers: Count<&'static str>,
    appends: Seconds<&'static str>,
    events: BoundCounter<u64>,
    commits: BoundHistogram<f64>,
    webhooks: Seconds<&'static str>,
    parked: BoundCounter<u64>,
    asked: Count<&'static str>,
    refusals: Count<&'static str>,
}

impl Meters {
    /// `scheme` is that of the address that clients reach.
    pub fn new(meter: &Meter, tracing: Option<Tracing>, scheme: &'static str) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            let made = meter.f64_histogram(name).with_unit("s").with_description(what);
            made.with_boundaries(SECONDS.to_vec()).build()
        };
        let count = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(what).build()
        };
        let requests = seconds(REQUESTS, "Requests, until the head of their answer");
        let statements = seconds("db.client.operation.duration", "Statements of live calls on a connection");
        let in_flight = meter.i64_up_down_counter("http.server.active_requests").with_unit("{request}");
        let in_flight = in_flight.with_description("Requests that are answered at this moment").build();
        let (appends, commits) = (
            seconds("bindery.log.append.duration", "Commands, until the log has them or has refused them"),
            seconds("bindery.log.commit.duration", "Transactions of the store, made durable"),
        );
        let meters = Self {
            tracing,
            requests: Bound::new(move |key| requests.bind(&of_request(key, scheme))),
            in_flight: in_flight.bind(&[KeyValue::new("url.scheme", scheme)]),
            calls: by_call(seconds(
                "bindery.call.duration",
                "Live calls, from their request to their answer",
            )),
            call_databases: by_call(seconds(
                "bindery.call.database.duration",
                "What the customer's database took of live calls, the wait for a connection included",
            )),
            statements: Bound::new(move |(system, operation, fault)| {
                let mut attributes = failing(system, fault);
                attributes.push(KeyValue::new("db.operation.name", operation));
                statements.bind(&attributes)
            }),
            waits: one(
                "db.system.name",
                seconds("db.client.connection.wait_time", "The wait for a connection of a pool"),
            ),
            timeouts: counted(
                "db.system.name",
                count(
                    "db.client.connection.timeouts",
                    "{timeout}",
                    "Calls turned away because all connections stayed busy",
                ),
            ),
            openings: {
                let openings = seconds("db.client.connection.create_time", "Connections opened, or not");
                Bound::new(move |(system, fault)| openings.bind(&failing(system, fault)))
            },
            asked_again: {
                let repeats =
                    count("bindery.call.read.repeats", "{read}", "Reads asked once more, late or lost");
                Bound::new(move |(system, why)| {
                    repeats.bind(&[
                        KeyValue::new("db.system.name", system),
                        KeyValue::new("bindery.reason", why),
                    ])
                })
            },
            breakers: counted(
                "db.system.name",
                count("bindery.breaker.openings", "{opening}", "Databases that nobody dials for a while"),
            ),
            appends: one("bindery.ending", appends),
            events: count("bindery.log.events", "{event}", "Events by which heads of the log moved")
                .bind(&[]),
            commits: commits.bind(&[]),
            webhooks: one(
                "bindery.ending",
                seconds("bindery.webhook.attempt.duration", "Attempts to deliver an event to a webhook"),
            ),
            parked: count("bindery.webhook.parkings", "{subscription}", "Webhooks given up until resumed")
                .bind(&[]),
            asked: counted(
                "bindery.ending",
                count("bindery.doubt.inquiries", "{inquiry}", "Databases asked what became of a write"),
            ),
            refusals: counted(
                "bindery.limit",
                count(
                    "bindery.rate_limit.refusals",
                    "{request}",
                    "Requests above the rate of a key or organization",
                ),
            ),
        };
        meters.begin_at_zero();
        meters
    }

    /// What has not happened yet is told as nothing, so that the first time it does is seen as a rise.
    fn begin_at_zero(&self) {
        for system in IntegrationKind::ALL.map(system_name) {
            self.timeouts.with(system, |timeouts| timeouts.add(0));
            self.breakers.with(system, |breakers| breakers.add(0));
            for why in [AskedAgain::Late, AskedAgain::Lost] {
                self.asked_again.with((system, reason(why)), |asked| asked.add(0));
            }
        }
        for whose in ["key", "organization"] {
            self.refusals.with(whose, |refusals| refusals.add(0));
        }
        self.parked.add(0);
        self.events.add(0);
    }
}

fn by_call(histogram: Histogram<f64>) -> Seconds<Words> {
    Bound::new(move |(endpoint, outcome)| {
        let endpoint = KeyValue::new("bindery.endpoint", endpoint);
        histogram.bind(&[endpoint, KeyValue::new("bindery.outcome", outcome)])
    })
}

fn one(name: &'static str, histogram: Histogram<f64>) -> Seconds<&'static str> {
    Bound::new(move |value| histogram.bind(&[KeyValue::new(name, value)]))
}

fn counted(name: &'static str, counter: Counter<u64>) -> Count<&'static str> {
    Bound::new(move |value| counter.bind(&[KeyValue::new(name, value)]))
}

impl Listener for Meters {
    fn begins(&self, endpoint: &'static Endpoint, headers: &HeaderMap) -> Option<Begun> {
        self.tracing.as_ref().map(|tracing| tracing.begin(endpoint, headers))
    }

    fn in_flight(&self, change: i64) {
        self.in_flight.add(change);
    }

    fn answered(&self, answered: &Answered<'_>) {
        let Answered { route, method, status, took, call } = answered;
        let took = took.as_secs_f64();
        self.requests.with((*route, method_name(method), status.as_u16()), |requests| requests.record(took));
        let Some((endpoint, measured)) = call else { return };
        let key = (*endpoint, measured.outcome);
        self.calls.with(key, |calls| calls.record(took));
        if !measured.database.is_zero() {
            self.call_databases.with(key, |databases| databases.record(measured.database.as_secs_f64()));
        }
    }

    fn happened(&self, what: Happened) {
        match what {
            Happened::RateRefused { whose } => self.refusals.with(whose, |refusals| refusals.add(1)),
            Happened::WebhookTried { took, delivered } => {
                let ending = if delivered { "delivered" } else { "failed" };
                self.webhooks.with(ending, |webhooks| webhooks.record(took.as_secs_f64()));
            }
            Happened::WebhookParked => self.parked.add(1),
            Happened::AskedOfWrite { ending } => {
                let ending = match ending {
                    Ending::Committed => "committed",
                    Ending::RolledBack => "rolled_back",
                    Ending::Open => "open",
                    Ending::Unknowable => "unknowable",
                };
                self.asked.with(ending, |asked| asked.add(1));
            }
        }
    }
}

fn reason(why: AskedAgain) -> &'static str {
    match why {
        AskedAgain::Late => "late",
        AskedAgain::Lost => "lost",
    }
}

impl infra::telemetry::Listener for Meters {
    fn measured(&self, what: Measured) {
        match what {
            Measured::Statement { kind, action, took, fault } => {
                let fault = fault.map_or("", |fault| fault.as_str());
                let key = (system_name(kind), operation_name(action), fault);
                self.statements.with(key, |statements| statements.record(took.as_secs_f64()));
            }
            Measured::Checkout { kind, took, got_it } => {
                let system = system_name(kind);
                self.waits.with(system, |waits| waits.record(took.as_secs_f64()));
                if !got_it {
                    self.timeouts.with(system, |timeouts| timeouts.add(1));
                }
            }
            Measured::Opened { kind, took, fault } => {
                let key = (system_name(kind), fault.map_or("", |fault| fault.as_str()));
                self.openings.with(key, |openings| openings.record(took.as_secs_f64()));
            }
            Measured::AskedAgain { kind, why } => {
                self.asked_again.with((system_name(kind), reason(why)), |asked| asked.add(1));
            }
            Measured::BreakerOpened { kind } => {
                self.breakers.with(system_name(kind), |breakers| breakers.add(1))
            }
            Measured::Appended { took, events, ending } => {
                let ending = match ending {
                    Appended::Committed => "committed",
                    Appended::Repeated => "repeated",
                    Appended::Moved => "moved",
                    Appended::Refused => "refused",
                    Appended::Failed => "failed",
                };
                self.appends.with(ending, |appends| appends.record(took.as_secs_f64()));
                self.events.add(events);
            }
            Measured::Committed { took } => self.commits.record(took.as_secs_f64()),
        }
    }
}
