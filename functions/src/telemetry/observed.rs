//! What is looked at when somebody asks.

use super::looking::{Found, Looked};
use crate::services::Services;
use domain::limits::POOL_SIZE;
use events::IntegrationKind;
use infra::databases::pool::Usage;
use infra::telemetry::system_name;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use std::sync::{Arc, Weak};

/// Without keeping the services alive.
pub fn register(meter: &Meter, services: &Arc<Services>, looked: &Arc<Looked>) {
    connections(meter, Arc::downgrade(services));
    let weak = Arc::downgrade(services);
    let streams = meter.i64_observable_up_down_counter("bindery.stream.open").with_unit("{stream}");
    let streams = streams.with_description("Streams of events that clients hold open");
    streams
        .with_callback(move |observer| {
            if let Some(services) = weak.upgrade() {
                observer.observe(services.streams.taken() as i64, &[]);
            }
        })
        .build();
    let weak = Arc::downgrade(services);
    let lost = meter.u64_observable_counter("bindery.call.records.lost").with_unit("{record}");
    lost.with_description("Records of live calls that could not be kept")
        .with_callback(move |observer| {
            if let Some(services) = weak.upgrade() {
                observer.observe(services.records.lost(), &[]);
            }
        })
        .build();
    looked_up(meter, looked);
}

fn connections(meter: &Meter, services: Weak<Services>) {
    type Part = (&'static [(&'static str, &'static str)], fn(&Usage) -> usize);
    let gauge = |name: &'static str, unit: &'static str, what: &'static str, parts: &'static [Part]| {
        let services = services.clone();
        let gauge = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(what);
        gauge
            .with_callback(move |observer| {
                let Some(services) = services.upgrade() else { return };
                for kind in IntegrationKind::ALL {
                    let usage = services.pools.usage(kind);
                    for (attributes, part) in parts {
                        let mut all = vec![KeyValue::new("db.system.name", system_name(kind))];
                        all.extend(attributes.iter().map(|(name, value)| KeyValue::new(*name, *value)));
                        observer.observe(part(&usage) as i64, &all);
                    }
                }
            })
            .build();
    };
    const STATE: &str = "db.client.connection.state";
    gauge(
        "db.client.connection.count",
        "{connection}",
        "Connections to customers' databases",
        &[(&[(STATE, "used")], |usage| usage.used), (&[(STATE, "idle")], |usage| usage.idle)],
    );
    let most = "Connections that the pools may have";
    gauge("db.client.connection.max", "{connection}", most, &[(&[], |usage| usage.pools * POOL_SIZE)]);
    let waiting = "Calls that wait for a connection";
    gauge("db.client.connection.pending_requests", "{request}", waiting, &[(&[], |usage| usage.waiting)]);
    let shut = "Databases that nobody dials at this moment, or one call at a time";
    gauge("bindery.breaker.open", "{breaker}", shut, &[(&[], |usage| usage.open_breakers)]);
}

fn looked_up(meter: &Meter, looked: &Arc<Looked>) {
    type Part = (&'static str, fn(&Found) -> u64);
    let gauge = |name: &'static str, unit: &'static str, what: &'static str, by, parts: &'static [Part]| {
        let looked = looked.clone();
        let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(what);
        gauge
            .with_callback(move |observer| {
                // What nobody has looked up yet is not told as nothing.
                let Some(found) = looked.last() else { return };
                for (value, part) in parts {
                    observer.observe(part(&found), &[KeyValue::new(by, *value)]);
                }
            })
            .build();
    };
    let lag = "Events by which the slowest is behind the log: the documents, or a webhook that is not parked";
    gauge(
        "bindery.projection.lag",
        "{event}",
        lag,
        "bindery.projection",
        &[("documents", |found| found.documents_lag), ("webhooks", |found| found.webhooks_lag)],
    );
    let webhooks = "Subscriptions of webhooks";
    gauge(
        "bindery.webhook.subscriptions",
        "{subscription}",
        webhooks,
        "bindery.state",
        &[
            ("delivering", |found| found.delivering),
            ("failing", |found| found.failing),
            ("parked", |found| found.parked),
        ],
    );
    let doubts = looked.clone();
    let open = meter.u64_observable_gauge("bindery.doubt.open").with_unit("{write}");
    open.with_description("Writes whose end nobody saw yet, those for a person among them")
        .with_callback(move |observer| {
            if let Some(found) = doubts.last() {
                observer.observe(found.doubts, &[]);
            }
        })
        .build();
}
