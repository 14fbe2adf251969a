//! Writes the text of a checked plan. No value and no word of the client gets into it.

use super::check::{Leaf, Plan};
use super::dialect::{self, Dialect};
use crate::catalog::{Field, Object, RelationshipKind};
use events::IntegrationKind;
use events::skill::{Action, Bind, Column, Parameter, Shape, Statement, Touched, TouchedColumn};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Name of the object in the text; joined ones are `r1`, `r2` …
const OWN: &str = "t";

struct Writer {
    dialect: &'static dyn Dialect,
    text: String,
    binds: Vec<Bind>,
}

pub(super) fn render(kind: IntegrationKind, plan: &Plan, side_effects: Vec<String>) -> Statement {
    let mut writer =
        Writer { dialect: dialect::of(kind), text: String::with_capacity(256), binds: Vec::new() };
    match plan.action {
        Action::Read => writer.read(plan),
        Action::Insert => writer.insert(plan),
        Action::Update => writer.update(plan),
    }
    let unique = plan.filter.is_some_and(|(_, field)| plan.object.is_unique(&field.name));
    let to_many = plan.joins.iter().any(|join| join.relationship.kind == RelationshipKind::HasMany);
    let mut statement = Statement {
        dialect: kind,
        action: plan.action,
        object: plan.object.name.clone(),
        text: writer.text,
        hash: String::new(),
        parameters: plan.parameters.clone(),
        binds: writer.binds,
        columns: plan.projection.iter().map(column).collect(),
        limit: plan.limit,
        touches: touches(plan),
        uses_index: plan.filter.and_then(|(_, field)| index(plan.object, &field.name)),
        estimated_rows: (plan.action.is_write() || unique && !to_many).then_some(1),
        side_effects,
    };
    statement.hash = hash(&statement);
    statement
}

impl Writer {
    fn read(&mut self, plan: &Plan) {
        self.text.push_str("SELECT ");
        self.selected(plan);
        self.text.push_str(" FROM ");
        self.dialect.table(&mut self.text, plan.object);
        self.text.push_str(" AS ");
        self.text.push_str(OWN);
        for (at, join) in plan.joins.iter().enumerate() {
            let alias = alias(Some(at));
            self.text.push_str(" LEFT JOIN ");
            self.dialect.table(&mut self.text, join.target);
            let _ = write!(self.text, " AS {alias} ON ");
            let edge = join.relationship;
            for (pair, (own, other)) in edge.fields.iter().zip(&edge.target_fields).enumerate() {
                if pair > 0 {
                    self.text.push_str(" AND ");
                }
                self.dialect.column(&mut self.text, &alias, other);
                self.text.push_str(" = ");
                self.dialect.column(&mut self.text, OWN, own);
            }
        }
        self.found_by(plan);
        for (at, (field, direction)) in plan.order.iter().enumerate() {
            self.text.push_str(if at == 0 { " ORDER BY " } else { ", " });
            self.dialect.column(&mut self.text, OWN, &field.name);
            self.dialect.direction(&mut self.text, field, *direction);
        }
        let _ = write!(self.text, " LIMIT {}", plan.limit + 1);
    }

    fn insert(&mut self, plan: &Plan) {
        self.text.push_str("INSERT INTO ");
        self.dialect.table(&mut self.text, plan.object);
        self.text.push_str(if self.dialect.writes_return_rows() { " AS t (" } else { " (" });
        for (at, (_, field)) in plan.assignments.iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self.dialect.identifier(&mut self.text, &field.name);
        }
        self.text.push_str(") VALUES (");
        for (at, (parameter, field)) in plan.assignments.iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self.value(*parameter, field);
        }
        self.text.push(')');
        self.returning(plan);
    }

    fn update(&mut self, plan: &Plan) {
        self.text.push_str("UPDATE ");
        self.dialect.table(&mut self.text, plan.object);
        self.text.push_str(" AS ");
        self.text.push_str(OWN);
        for (at, (parameter, field)) in plan.assignments.iter().enumerate() {
            self.text.push_str(if at == 0 { " SET " } else { ", " });
            self.dialect.identifier(&mut self.text, &field.name);
            self.text.push_str(" = ");
            if plan.parameters[*parameter].required {
                self.value(*parameter, field);
                continue;
            }
            self.text.push_str("CASE WHEN ");
            self.binds.push(Bind::Given { parameter: *parameter });
            self.dialect.given(&mut self.text, self.binds.len());
            self.text.push_str(" THEN ");
            self.value(*parameter, field);
            self.text.push_str(" ELSE ");
            self.dialect.column(&mut self.text, OWN, &field.name);
            self.text.push_str(" END");
        }
        self.found_by(plan);
        self.returning(plan);
    }

    fn value(&mut self, parameter: usize, field: &Field) {
        self.binds.push(Bind::Value { parameter });
        self.dialect.value(&mut self.text, self.binds.len(), field);
    }

    fn found_by(&mut self, plan: &Plan) {
        if let Some((parameter, field)) = plan.filter {
            self.text.push_str(" WHERE ");
            self.dialect.column(&mut self.text, OWN, &field.name);
            self.dialect.equals(&mut self.text, field);
            self.value(parameter, field);
        }
    }

    fn returning(&mut self, plan: &Plan) {
        if !plan.projection.is_empty() {
            self.text.push_str(" RETURNING ");
            self.selected(plan);
        }
    }

    fn selected(&mut self, plan: &Plan) {
        for (at, leaf) in plan.projection.iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self.dialect.column(&mut self.text, &alias(leaf.join), &leaf.field.name);
            self.dialect.selected(&mut self.text, &leaf.field.shape);
        }
    }
}

fn alias(join: Option<usize>) -> String {
    join.map_or_else(|| OWN.to_owned(), |at| format!("r{}", at + 1))
}

fn column(leaf: &Leaf) -> Column {
    Column { leaf: leaf.name.to_owned(), shape: leaf.field.shape.clone() }
}

/// The index that a filter on one column uses: one for it alone if there is one, else the narrowest.
fn index(object: &Object, column: &str) -> Option<String> {
    let leads =
        object.indexes.iter().filter(|index| index.columns.first().is_some_and(|first| first == column));
    leads
        .min_by_key(|index| (index.columns.len(), !index.unique, &index.name))
        .map(|index| index.name.clone())
}

/// Everything the text names, the statement's own object first.
fn touches(plan: &Plan) -> Vec<Touched> {
    let mut touches = vec![Touched { object: plan.object.name.clone(), columns: Vec::new() }];
    let found = plan.filter.iter().chain(&plan.assignments).map(|(_, field)| *field);
    for field in found.chain(plan.order.iter().map(|(field, _)| *field)) {
        touch(&mut touches, plan.object, &field.name);
    }
    for join in &plan.joins {
        let edge = join.relationship;
        edge.fields.iter().for_each(|name| touch(&mut touches, plan.object, name));
        edge.target_fields.iter().for_each(|name| touch(&mut touches, join.target, name));
    }
    for leaf in &plan.projection {
        let object = leaf.join.map_or(plan.object, |at| plan.joins[at].target);
        touch(&mut touches, object, &leaf.field.name);
    }
    touches
}

fn touch(touches: &mut Vec<Touched>, object: &Object, column: &str) {
    let at = touches.iter().position(|touched| touched.object == object.name).unwrap_or_else(|| {
        touches.push(Touched { object: object.name.clone(), columns: Vec::new() });
        touches.len() - 1
    });
    let Some(field) = object.field(column) else { return };
    let columns = &mut touches[at].columns;
    if !columns.iter().any(|touched| touched.name == column) {
        let native_type = field.shape.native_type.clone();
        columns.push(TouchedColumn { name: column.to_owned(), native_type });
    }
}

/// What decides how a statement runs. Descriptions, plans and side effects do not.
#[derive(Serialize)]
struct Identity<'a> {
    domain: &'static str,
    dialect: IntegrationKind,
    action: Action,
    text: &'a str,
    binds: &'a [Bind],
    parameters: Vec<Judged<'a>>,
    columns: &'a [Column],
    limit: u32,
}

/// A parameter without its description.
#[derive(Serialize)]
struct Judged<'a> {
    name: &'a str,
    source: events::skill::Source,
    required: bool,
    nullable: bool,
    value: Option<&'a serde_json::Value>,
    column: &'a str,
    shape: &'a Shape,
}

/// SHA-256 in hex over the JSON of dialect, action, text, binds, parameters (their constants too), columns and
/// limit: equal hashes run equally, and a statement whose hash is not its own was tampered with.
pub fn hash(statement: &Statement) -> String {
    let identity = Identity {
        domain: "bindery.statement.v1",
        dialect: statement.dialect,
        action: statement.action,
        text: &statement.text,
        binds: &statement.binds,
        parameters: statement.parameters.iter().map(judged).collect(),
        columns: &statement.columns,
        limit: statement.limit,
    };
    let bytes = serde_json::to_vec(&identity).expect("a statement holds nothing that JSON cannot");
    hex::encode(Sha256::digest(&bytes))
}

fn judged(parameter: &Parameter) -> Judged<'_> {
    Judged {
        name: &parameter.name,
        source: parameter.source,
        required: parameter.required,
        nullable: parameter.nullable,
        value: parameter.value.as_ref(),
        column: &parameter.column,
        shape: &parameter.shape,
    }
}
