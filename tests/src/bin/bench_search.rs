//! What the search index of a big schema costs: 10,000 tables of 20 columns, each named by words that databases use.

use domain::catalog::{Catalog, Field, Index as Key, Indexed, Object, ObjectKind, Privileges};
use domain::drafting::{Goal, draft};
use domain::search::Index;
use events::IntegrationKind;
use events::skill::{FieldType, Shape};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TABLES: usize = 10_000;
const COLUMNS: usize = 20;
const WORDS: [&str; 40] = [
    "customer", "order", "item", "invoice", "payment", "account", "address", "phone", "status", "type",
    "date", "amount", "product", "stock", "price", "user", "role", "group", "event", "log", "message",
    "ticket", "note", "branch", "region", "policy", "claim", "visit", "room", "doctor", "device", "plan",
    "contract", "asset", "task", "project", "review", "rating", "session", "report",
];
const QUESTIONS: [&str; 8] = [
    "phone of a customer",
    "next visit of a patient",
    "unpaid bills",
    "custmer adress",
    "qty in stock",
    "who approved claim",
    "date and amount of the last payment",
    "zeppelin",
];

fn main() {
    let catalog = Arc::new(catalog().finish());
    let before = resident();
    let began = Instant::now();
    let index = Index::build(catalog);
    let built = began.elapsed();
    println!(
        "{TABLES} tables of {COLUMNS} columns: built in {:.2} s, {} MiB",
        built.as_secs_f64(),
        (resident() - before) / 1024
    );
    let mut queries = timed(|question| drop(index.query(question, 200)));
    println!("query   p50 {:6.2} ms   p99 {:6.2} ms", at(&mut queries, 50), at(&mut queries, 99));
    let mut drafts = timed(|text| drop(draft(&index, &Goal { text, allow_write: false })));
    println!("draft   p50 {:6.2} ms   p99 {:6.2} ms", at(&mut drafts, 50), at(&mut drafts, 99));
}

fn timed(mut ask: impl FnMut(&str)) -> Vec<Duration> {
    let mut took = Vec::new();
    for question in QUESTIONS.iter().cycle().take(25 * QUESTIONS.len()) {
        let began = Instant::now();
        ask(question);
        took.push(began.elapsed());
    }
    took
}

fn at(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took[took.len() * percent / 100].as_secs_f64() * 1000.0
}

/// KiB that the process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn catalog() -> Catalog {
    let word = |at: usize| WORDS[at % WORDS.len()];
    let objects = (0..TABLES).map(|at| {
        let name = format!("{}_{}_{}_{at}", word(at), word(at / 40 + 7), word(at / 1600 + 13));
        let fields = (0..COLUMNS).map(|column| match column {
            0 => field("id", FieldType::Bigint),
            column => field(
                &format!("{}_{}_{column}", word(at * 3 + column), word(at + column * 5)),
                FieldType::String,
            ),
        });
        Object {
            name: name.clone(),
            schema: "public".to_owned(),
            table: name,
            kind: ObjectKind::Table,
            comment: Some(format!("Keeps each {} of a {}", word(at + 3), word(at / 9))),
            row_estimate: Some(at as u64),
            fields: fields.collect(),
            primary_key: vec!["id".to_owned()],
            unique_keys: Vec::new(),
            indexes: vec![Key { name: "key".to_owned(), columns: vec!["id".to_owned()], unique: true }],
            relationships: Vec::new(),
            triggers: Vec::new(),
            keeps_all_writes: false,
            privileges: Privileges { select: true, insert: true, update: true },
        }
    });
    Catalog {
        kind: IntegrationKind::Postgres,
        default_schema: "public".to_owned(),
        objects: objects.collect(),
    }
}

fn field(name: &str, field_type: FieldType) -> Field {
    let native_type = field_type.as_str().to_owned();
    Field {
        name: name.to_owned(),
        shape: Shape {
            field_type,
            native_type,
            integer_bytes: None,
            unsigned: false,
            max_length: None,
            precision: None,
            enum_values: Vec::new(),
            set: false,
            element: None,
        },
        cast: Some("text".to_owned()),
        nullable: true,
        has_default: false,
        generated: false,
        comment: None,
        indexed: Indexed::None,
    }
}
