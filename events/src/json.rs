//! The only place where events become bytes and bytes become events.

use crate::envelope::WireEvent;
use crate::{Actor, Event, EventId, OrganizationId, Recorded, RequestId, Seq, Subject, upcast};
use jiff::Timestamp;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// An event as its bytes stand in the log. `seq` and the hashes are not in them: they follow from the position.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    id: EventId,
    #[serde(rename = "type")]
    name: String,
    version: u32,
    subject: Subject,
    actor: Actor,
    request_id: RequestId,
    #[serde(default)]
    cause: Option<EventId>,
    recorded_at: Timestamp,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not JSON, or not the shape that its type and version promise.
    Malformed(String),
    /// Written by a newer release, or by something that is not Bindery. Never skipped.
    UnknownType { name: String, version: u32 },
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Malformed(reason) => write!(f, "malformed event: {reason}"),
            DecodeError::UnknownType { name, version } => {
                write!(f, "unknown event {name} version {version}: this release is older than the log")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// What an event adds to the chain: `SHA-256(domain ‖ len(organization) ‖ organization ‖ seq ‖ prevHash ‖ bytes)`,
/// numbers as 8 bytes, big-endian.
pub fn chain(organization: &OrganizationId, seq: Seq, prev: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"bindery.event.v1");
    hash.update((organization.as_str().len() as u64).to_be_bytes());
    hash.update(organization.as_str().as_bytes());
    hash.update(seq.0.to_be_bytes());
    hash.update(prev);
    hash.update(bytes);
    hash.finalize().into()
}

/// The bytes of one event.
#[allow(clippy::too_many_arguments)]
pub fn encode(
    id: &EventId,
    subject: &Subject,
    actor: &Actor,
    request_id: &RequestId,
    cause: Option<&EventId>,
    recorded_at: Timestamp,
    event: &Event,
) -> Result<Box<RawValue>, DecodeError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Borrowed<'a> {
        id: &'a EventId,
        version: u32,
        subject: &'a Subject,
        actor: &'a Actor,
        request_id: &'a RequestId,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a EventId>,
        recorded_at: Timestamp,
        #[serde(flatten)]
        event: &'a Event,
    }
    serde_json::value::to_raw_value(&Borrowed {
        id,
        version: event.version(),
        subject,
        actor,
        request_id,
        cause,
        recorded_at,
        event,
    })
    .map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// The event at `seq` with the hash `hash`, as [`chain`] gives it; its predecessor has the hash `prev`.
pub fn decode(
    organization: &OrganizationId,
    seq: Seq,
    prev: &[u8; 32],
    hash: &[u8; 32],
    bytes: &RawValue,
) -> Result<Recorded, DecodeError> {
    let stored: Stored<'_> =
        serde_json::from_str(bytes.get()).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let event = decode_data(&stored.name, stored.version, stored.data)?;
    Ok(Recorded {
        organization: organization.clone(),
        seq,
        id: stored.id,
        subject: stored.subject,
        actor: stored.actor,
        request_id: stored.request_id,
        cause: stored.cause,
        recorded_at: stored.recorded_at,
        event,
        prev_hash: *prev,
        hash: *hash,
    })
}

/// When an event was recorded, without reading what follows that in its bytes: half of a verification's time would go
/// into data that nobody looks at.
pub fn recorded_at(bytes: &RawValue) -> Option<Timestamp> {
    struct Found(Option<Timestamp>);

    impl<'de> Visitor<'de> for &mut Found {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an event")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                if name == "recordedAt" {
                    self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = Found(None);
    // It says that the rest was not read.
    let _ = serde_json::Deserializer::from_str(bytes.get()).deserialize_map(&mut found);
    found.0
}

/// Data of any version that ever shipped, brought up to today's shape.
pub fn decode_data(name: &str, version: u32, data: &RawValue) -> Result<Event, DecodeError> {
    let unknown = || DecodeError::UnknownType { name: name.to_owned(), version };
    let malformed = |reason: String| DecodeError::Malformed(format!("{name} version {version}: {reason}"));
    let current = Event::current_version(name).ok_or_else(unknown)?;
    if version == current {
        return Event::parse(name, data.get())
            .ok_or_else(unknown)?
            .map_err(|error| malformed(error.to_string()));
    }
    let steps = upcast::steps(name, version, current).ok_or_else(unknown)?;
    let old = serde_json::from_str(data.get()).map_err(|error| malformed(error.to_string()))?;
    let new = steps.iter().try_fold(old, |data, step| step(data)).map_err(malformed)?;
    Event::parse(name, &new.to_string()).ok_or_else(unknown)?.map_err(|error| malformed(error.to_string()))
}

impl Recorded {
    /// The event as clients and subscribers see it.
    pub fn to_wire(&self) -> serde_json::Value {
        serde_json::to_value(self.on_the_wire()).expect("it is JSON")
    }

    /// The same before it is JSON.
    pub fn on_the_wire(&self) -> WireEvent {
        let data = serde_json::to_value(&self.event).expect("events are JSON")["data"].take();
        WireEvent {
            seq: self.seq,
            id: self.id.clone(),
            name: self.event.name().to_owned(),
            version: self.event.version(),
            subject: self.subject.clone(),
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            cause: self.cause.clone(),
            recorded_at: self.recorded_at,
            data,
            prev_hash: hex::encode(self.prev_hash),
            hash: hex::encode(self.hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn a_known_name_with_an_unknown_version_is_an_unknown_type() {
        for version in [0, 2, u32::MAX] {
            let refused = decode_data("KeyRevoked", version, &raw("{}"));
            assert_eq!(refused, Err(DecodeError::UnknownType { name: "KeyRevoked".into(), version }));
        }
    }

    #[test]
    fn an_unknown_name_is_an_unknown_type_even_with_the_version_of_another() {
        let refused = decode_data("KeyForgotten", 1, &raw("{}"));
        assert_eq!(refused, Err(DecodeError::UnknownType { name: "KeyForgotten".into(), version: 1 }));
    }

    #[test]
    fn data_that_is_not_the_shape_its_type_promises_is_malformed() {
        let refused = decode_data("AgentCreated", 1, &raw(r#"{"title":"x"}"#));
        assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{refused:?}");
    }

    #[test]
    fn an_instant_is_found_wherever_it_stands_and_only_at_the_top() {
        let at = |text: &str| recorded_at(&raw(text)).map(|at| at.to_string());
        let found = Some("2026-11-05T09:30:11Z".to_owned());
        assert_eq!(at(r#"{"recordedAt":"2026-11-05T09:30:11Z","data":{}}"#), found);
        assert_eq!(at(r#"{"data":{"recordedAt":"x"},"recordedAt":"2026-11-05T09:30:11Z"}"#), found);
        for none in ["1", r#"{"data":{"recordedAt":"2026-11-05T09:30:11Z"}}"#, r#"{"recordedAt":"soon"}"#] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn the_hash_covers_organization_position_predecessor_and_bytes() {
        let base = chain(&"a".into(), Seq(1), &[0; 32], b"x");
        assert_ne!(base, chain(&"b".into(), Seq(1), &[0; 32], b"x"));
        assert_ne!(base, chain(&"a".into(), Seq(2), &[0; 32], b"x"));
        assert_ne!(base, chain(&"a".into(), Seq(1), &[1; 32], b"x"));
        assert_ne!(base, chain(&"a".into(), Seq(1), &[0; 32], b"y"));
        // Written down once, so that a change of the formula cannot pass as a change of the code.
        assert_eq!(hex::encode(base), "36f373f2135eed037f5a362f5d6e3cc2f85d5a6c53d4e2c6224a275c73bf7a6b");
    }
}
