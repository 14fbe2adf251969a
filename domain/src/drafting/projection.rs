//! What a proposed read answers with.

use super::columns::Column;
use super::goal::{Meaning, Question, Role};
use super::label;
use super::names::snake;
use super::rank::Ranked;
use super::read::{Subject, words_of};
use crate::catalog::{Field, Relationship, RelationshipKind};
use crate::limits::LEAVES_PROPOSED;
use events::skill::{FieldType, Projected};
use std::collections::HashSet;

/// A projection that grows.
pub(super) struct Leaves {
    object: String,
    pub leaves: Vec<Projected>,
    names: HashSet<String>,
}

impl Leaves {
    pub fn new(object: &str) -> Self {
        Self { object: object.to_owned(), leaves: Vec::new(), names: HashSet::new() }
    }

    pub fn own(&mut self, column: &str) {
        let object = self.object.clone();
        self.add(&object, column);
    }

    pub fn add(&mut self, first: &str, column: &str) {
        if self.leaves.iter().any(|leaf| leaf.path[0] == first && leaf.path[1] == column) {
            return;
        }
        let mut leaf = snake(column);
        if leaf.is_empty() {
            leaf = "value".to_owned();
        }
        if self.names.contains(&leaf) && first != self.object {
            leaf = format!("{}_{leaf}", snake(first)).trim_start_matches('_').chars().take(60).collect();
        }
        let mut name = leaf.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{leaf}_{number}");
            number += 1;
        }
        self.leaves.push(Projected { path: vec![first.to_owned(), column.to_owned()], leaf: name });
    }

    /// A goal that names no column is answered with what says which row it is and how it stands.
    pub fn add_some(&mut self, subject: &Subject) {
        if self.leaves.len() >= 2 {
            return;
        }
        let plain = |(_, field, column): &(usize, &Field, &Column)| {
            !label::is_secret(&column.words)
                && !label::is_sensitive(&column.words)
                && !label::is_upkeep(&column.words)
                && !matches!(field.shape.field_type, FieldType::Binary | FieldType::Other | FieldType::Json)
        };
        let fields: Vec<_> = subject.fields().filter(plain).collect();
        let telling = |(_, field, column): &&(usize, &Field, &Column)| {
            label::names_row(&column.words, field)
                || label::is_moment(field)
                || label::is_amount(field)
                || field.shape.field_type == FieldType::Enum
                || column
                    .words
                    .iter()
                    .any(|word| ["status", "state", "quantity", "note", "type"].contains(&word.as_str()))
        };
        for (_, field, _) in fields.iter().filter(telling).chain(fields.iter()).take(LEAVES_PROPOSED * 2) {
            if self.leaves.len() >= LEAVES_PROPOSED {
                break;
            }
            if label::target_of(subject.object, field).is_none() {
                self.own(&field.name);
            }
        }
        if self.leaves.is_empty()
            && let Some((_, field, _)) = subject
                .fields()
                .find(|(_, field, column)| label::is_filter(field) && !label::is_secret(&column.words))
        {
            self.own(&field.name);
        }
    }
}

/// The columns that the goal asks for: again and again the one that says most of what is not yet answered.
pub(super) fn outputs(subject: &Subject, meaning: &Meaning, filter: usize, leaves: &mut Leaves) {
    let allowed = |field: &Field, column: &Column| {
        !label::is_secret(&column.words) && !matches!(field.shape.field_type, FieldType::Other)
    };
    if meaning.all {
        for (_, field, column) in subject.fields() {
            if allowed(field, column) && !label::is_sensitive(&column.words) {
                leaves.own(&field.name);
            }
        }
        return;
    }
    let mut open: Vec<usize> = meaning
        .words
        .iter()
        .enumerate()
        .filter(|(_, word)| matches!(word.role, Role::Head | Role::Tail))
        .map(|(at, _)| at)
        .collect();
    let asked = open.clone();
    while leaves.leaves.len() < LEAVES_PROPOSED && !open.is_empty() {
        let best = subject
            .fields()
            .filter(|(at, field, column)| {
                *at != filter
                    && allowed(field, column)
                    && !leaves.leaves.iter().any(|leaf| leaf.path[1] == field.name)
            })
            .map(|(at, _, column)| {
                let gain: f32 = open
                    .iter()
                    .map(|word| {
                        let head = if meaning.words[*word].role == Role::Head { 1.0 } else { 0.55 };
                        head * column.clear(*word)
                    })
                    .sum();
                (gain * column.said(&asked), at)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, at)) = best.filter(|(gain, _)| *gain >= 0.3) else { break };
        leaves.own(&subject.object.fields[at].name);
        open.retain(|word| subject.columns[at].likeness(*word) < 0.6);
    }
    if let Some(question) = meaning.question {
        answer(subject, question, leaves);
    }
}

/// `when` is answered by a moment, `how much` by an amount, also when no column is named.
fn answer(subject: &Subject, question: Question, leaves: &mut Leaves) {
    let wanted = |field: &Field, column: &Column| match question {
        Question::When => label::is_moment(field) && !label::is_upkeep(&column.words),
        Question::HowMuch => {
            label::is_amount(field)
                || column.words.iter().any(|word| ["quantity", "amount", "balance"].contains(&word.as_str()))
        }
        Question::Where => column.words.iter().any(|word| {
            ["address", "city", "location", "room", "street", "place", "country"].contains(&word.as_str())
        }),
        Question::Who => column
            .words
            .iter()
            .any(|word| ["name", "firstname", "lastname", "surname"].contains(&word.as_str())),
    };
    for (_, field, column) in subject.fields().filter(|(_, field, column)| wanted(field, column)).take(2) {
        if !label::is_secret(&column.words) {
            leaves.own(&field.name);
        }
    }
}

/// One-hop joins, where words of the goal name what a foreign key leads to.
pub(super) fn hops(subject: &Subject, meaning: &Meaning, ranked: &Ranked, leaves: &mut Leaves) {
    let edges: Vec<&Relationship> =
        subject.object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::BelongsTo).collect();
    for edge in edges {
        let Some(target) = subject.catalog.object(&edge.target).filter(|target| target.privileges.select)
        else {
            continue;
        };
        if leaves.leaves.len() >= LEAVES_PROPOSED {
            return;
        }
        let asked = meaning.words.iter().enumerate().any(|(at, word)| {
            matches!(word.role, Role::Head)
                && ranked.named[at] < 0.6
                && edge.fields.iter().any(|name| {
                    subject
                        .fields()
                        .any(|(_, field, column)| field.name == *name && column.likeness(at) >= 0.75)
                })
        });
        if !asked {
            continue;
        }
        let label = target.fields.iter().find(|field| {
            let words = words_of(&field.name);
            label::names_row(&words, field)
                && words.last().is_some_and(|word| word.ends_with("name") || word == "title")
        });
        if let Some(label) = label {
            leaves.add(&edge.name, &label.name);
        }
    }
}
