//! What kind of thing a column holds, by its name and type.

use crate::catalog::{Field, Indexed, Object, RelationshipKind, is_bindable};
use events::skill::FieldType;

/// Never read out or written by a proposal, whatever the goal says.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passcode",
    "secret",
    "token",
    "salt",
    "hash",
    "digest",
    "cvv",
    "cvc",
    "pin",
    "otp",
    "credential",
    "apikey",
    "privatekey",
    "authkey",
    "nonce",
    "passphrase",
];
/// Read out only when the goal names it.
const SENSITIVE: &[&str] = &[
    "ssn",
    "social",
    "tax",
    "taxid",
    "tin",
    "iban",
    "passport",
    "birth",
    "dob",
    "birthdate",
    "birthday",
    "religion",
    "ethnicity",
    "race",
    "salary",
    "income",
    "diagnosis",
    "card",
    "cc",
    "credit",
    "bank",
    "security",
    "license",
];
/// The system keeps it for itself.
const UPKEEP: &[&str] = &[
    "created",
    "updated",
    "modified",
    "deleted",
    "rev",
    "revision",
    "lock",
    "etag",
    "version",
    "uuid",
    "guid",
    "createdby",
    "updatedby",
    "lastmodified",
    "inserted",
    "uid",
    "rowguid",
    "checksum",
    "sort",
    "rowversion",
    "lastupdated",
    "lastupdate",
    "submitted",
    "lastmodifiedby",
    "sortorder",
    "sharing",
    "translations",
];

pub fn is_secret(words: &[String]) -> bool {
    words.iter().any(|word| SECRET.contains(&word.as_str()))
}

pub fn is_sensitive(words: &[String]) -> bool {
    words.iter().any(|word| SENSITIVE.contains(&word.as_str()))
}

pub fn is_upkeep(words: &[String]) -> bool {
    words.iter().any(|word| UPKEEP.contains(&word.as_str())) || words.join("_") == "last_update"
}

fn any(words: &[String], of: &[&str]) -> bool {
    words.iter().any(|word| of.contains(&word.as_str()))
}

/// A parameter that every agent of this kind names alike, when a column holds what it is.
pub fn canonical(words: &[String]) -> Option<&'static str> {
    let secondary =
        any(words, &["type", "kind", "emergency", "work", "verified", "extension", "code", "fax"]);
    if secondary {
        return None;
    }
    if any(words, &["phone", "tel", "telephone", "mobile", "cell", "cellphone", "msisdn", "phoneno"]) {
        return Some("caller_phone");
    }
    if any(words, &["email", "mail"]) {
        return Some("caller_email");
    }
    if any(words, &["address", "addr", "street"]) {
        return Some("service_address");
    }
    if words.len() == 1 && any(words, &["call"]) || words.join("_") == "call_id" {
        return Some("call_id");
    }
    let own_name = any(words, &["fullname", "surname", "lastname", "lname"])
        || words.last().is_some_and(|word| word == "name")
            && any(
                words,
                &["full", "last", "family", "customer", "client", "patient", "caller", "contact", "member"],
            );
    (own_name || words.len() == 1 && words[0] == "name").then_some("caller_name")
}

/// Whether rows of this object are people or firms who may call.
pub fn is_party(words: &[String]) -> bool {
    let parties = [
        "customer",
        "client",
        "patient",
        "user",
        "member",
        "person",
        "contact",
        "guest",
        "tenant",
        "subscriber",
        "borrower",
        "buyer",
        "account",
        "student",
        "passenger",
        "cust",
        "policyholder",
        "resident",
        "people",
        "applicant",
        "donor",
        "parent",
        "owner",
    ];
    words.last().is_some_and(|word| parties.contains(&word.as_str()))
}

/// A column that says to a person which row it is.
pub fn names_row(words: &[String], field: &Field) -> bool {
    matches!(field.shape.field_type, FieldType::String)
        && words.last().is_some_and(|word| {
            [
                "name",
                "title",
                "subject",
                "label",
                "firstname",
                "lastname",
                "surname",
                "fullname",
                "displayname",
                "code",
                "number",
                "reference",
                "description",
                "caption",
            ]
            .contains(&word.as_str())
        })
}

/// A column that holds the name of the row itself: `name`, `title`, `customer_name` of `customers`.
pub fn is_name(words: &[String], object: &[String]) -> bool {
    let plain = ["first", "last", "full", "display", "f", "l", "given", "family"];
    words.last().is_some_and(|last| {
        ["name", "title", "fname", "firstname", "fullname", "forename"].contains(&last.as_str())
            || last.len() <= 6 && last.ends_with("name")
    }) && words[..words.len() - 1].iter().all(|word| {
        object.contains(word)
            || plain.contains(&word.as_str())
            || object.iter().any(|own| own.starts_with(word.as_str()))
    })
}

/// A column that `in <value>` and `from <value>` mean, when the goal says no more.
pub fn is_place(words: &[String]) -> bool {
    any(
        words,
        &["city", "town", "location", "country", "state", "year", "county", "region", "place", "origin"],
    )
}

pub fn is_moment(field: &Field) -> bool {
    matches!(field.shape.field_type, FieldType::Date | FieldType::Timestamp | FieldType::Timestamptz)
}

pub fn is_amount(field: &Field) -> bool {
    matches!(field.shape.field_type, FieldType::Decimal | FieldType::Float)
}

/// Whether a read may find rows by it.
pub fn is_filter(field: &Field) -> bool {
    field.indexed != Indexed::None
        && is_bindable(&field.shape)
        && !matches!(field.shape.field_type, FieldType::Json | FieldType::Binary | FieldType::Array)
}

/// The column's own foreign key, when it alone is one.
pub fn target_of<'a>(object: &'a Object, field: &Field) -> Option<&'a str> {
    let own = object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::BelongsTo);
    own.filter(|edge| edge.fields.len() == 1 && edge.fields[0] == field.name)
        .map(|edge| edge.target.as_str())
        .next()
}
