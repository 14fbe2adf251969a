//! A write commits one row or nothing on every shape of table that we could think of, and what it sets off is told when
//! it is bound.

mod mysql;
mod postgres;

use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A table that is named as the shape, and what has to become of one write to it.
pub struct Shape {
    pub name: &'static str,
    pub sql: &'static str,
    pub write: Write,
    pub expected: Expected,
}

pub enum Write {
    /// Sets `column` to `to` where `key` is `at`.
    Update {
        key: &'static str,
        at: Value,
        column: &'static str,
        to: Value,
    },
    Insert(Value),
}

pub enum Expected {
    /// It cannot be bound, with this code.
    NotBound(&'static str),
    /// One row is written; the binding tells of each of these and, with none, of nothing.
    One(&'static [&'static str]),
    /// Nothing is written: outcome and code.
    Nothing(&'static str, &'static str),
}

pub fn update(key: &'static str, at: Value, column: &'static str, to: Value) -> Write {
    Write::Update { key, at, column, to }
}

/// What most of them write.
pub fn note() -> Write {
    update("id", json!(1), "note", json!("b"))
}

impl Shape {
    fn binding(&self) -> Value {
        match &self.write {
            Write::Update { key, column, .. } => json!({
                "toolName": self.name, "operation": format!("{}.update", self.name), "keyColumn": key,
                "keyParam": "key", "inputs": [{ "param": "value", "arg": column }],
            }),
            Write::Insert(row) => {
                let columns = row.as_object().expect("columns").keys();
                let inputs = columns.map(|column| json!({ "param": column, "arg": column }));
                json!({
                    "toolName": self.name, "operation": format!("{}.insert", self.name),
                    "inputs": inputs.collect::<Vec<_>>(),
                })
            }
        }
    }

    fn arguments(&self) -> Value {
        match &self.write {
            Write::Update { at, to, .. } => json!({ "key": at, "value": to }),
            Write::Insert(row) => row.clone(),
        }
    }

    /// Each row of the table as text, with how often it is there.
    fn rows(&self, desk: &Desk) -> BTreeMap<String, i32> {
        let all = match desk.engine.kind {
            IntegrationKind::Postgres => format!("SELECT t::text FROM {} t", self.name),
            IntegrationKind::Mysql => format!("SELECT * FROM {}", self.name),
        };
        let mut rows = BTreeMap::new();
        for row in desk.sql(&all).lines() {
            *rows.entry(row.to_owned()).or_default() += 1;
        }
        rows
    }
}

/// Rows that went, and rows that came.
fn difference(before: &BTreeMap<String, i32>, after: &BTreeMap<String, i32>) -> (i32, i32) {
    let beyond = |many: &BTreeMap<String, i32>, few: &BTreeMap<String, i32>| {
        many.iter().map(|(row, count)| (count - few.get(row).unwrap_or(&0)).max(0)).sum()
    };
    (beyond(before, after), beyond(after, before))
}

/// What is otherwise than expected of a binding.
async fn bound(desk: &Desk, shape: &Shape) -> Result<(), String> {
    let answer = desk.try_bind(shape.binding()).await;
    if let Expected::NotBound(code) = shape.expected {
        let mut errors = answer.body["errors"].as_array().into_iter().flatten();
        let is_refused = answer.status == 422 && errors.any(|error| error["code"] == code);
        return if is_refused { Ok(()) } else { Err(format!("bound: {}", answer.body)) };
    }
    if answer.status != 201 {
        return Err(format!("not bound: {}", answer.body));
    }
    let skill = answer.data();
    let path = format!("/agents/{}/skills/{}", desk.agent, skill["id"].as_str().expect("an id"));
    let review =
        json!({ "isEnabled": true, "requiresConfirmation": false, "requiresVerifiedIdentity": false });
    desk.site.http.patch(&path, review).await.data();
    let told = skill["executionConfig"]["sideEffects"].as_array().expect("a list");
    let tells = |effect: &&str| told.iter().any(|told| told.to_string().contains(effect));
    match shape.expected {
        Expected::One([]) if !told.is_empty() => Err(format!("told of {told:?}")),
        Expected::One(effects) if !effects.iter().all(tells) => Err(format!("told of {told:?}")),
        Expected::One(_) | Expected::Nothing(..) | Expected::NotBound(_) => Ok(()),
    }
}

/// What is otherwise than expected of a call.
async fn called(desk: &Desk, shape: &Shape) -> Result<(), String> {
    let (outcome, code, changed) = match (&shape.expected, &shape.write) {
        (Expected::NotBound(_), _) => return Ok(()),
        (Expected::Nothing(outcome, code), _) => (*outcome, json!(code), (0, 0)),
        (Expected::One(_), Write::Update { .. }) => ("ok", Value::Null, (1, 1)),
        (Expected::One(_), Write::Insert(_)) => ("ok", Value::Null, (0, 1)),
    };
    let before = shape.rows(desk);
    let answer = desk.call(shape.name, shape.arguments()).await;
    let difference = difference(&before, &shape.rows(desk));
    if answer["outcome"] == outcome && answer["code"] == code && difference == changed {
        return Ok(());
    }
    Err(format!("{difference:?} rows went and came: {answer}"))
}

async fn every_shape_is_written_by_one_row_or_not_at_all(kind: IntegrationKind, shapes: Vec<Shape>) {
    assert!(shapes.len() >= 40, "{}", shapes.len());
    let tables: Vec<_> = shapes.iter().map(|shape| shape.sql).collect();
    let desk = Desk::open(kind, &tables.join("\n")).await;
    let mut wrong = Vec::new();
    let mut note = |shape: &Shape, judged: Result<(), String>| {
        wrong.extend(judged.err().map(|what| format!("{}: {what}", shape.name)));
    };
    for shape in &shapes {
        note(shape, bound(&desk, shape).await);
    }
    desk.publish().await;
    for shape in &shapes {
        note(shape, called(&desk, shape).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_written_by_one_row_or_not_at_all_on_postgres() {
    every_shape_is_written_by_one_row_or_not_at_all(IntegrationKind::Postgres, postgres::shapes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_written_by_one_row_or_not_at_all_on_mariadb() {
    every_shape_is_written_by_one_row_or_not_at_all(IntegrationKind::Mysql, mysql::shapes()).await;
}
