//! Proposes an insert into, or an update of, one object. Both land disabled and wait for a person's review.

use super::Proposal;
use super::goal::{Meaning, Role};
use super::label;
use super::names::{parameter, snake, spoken, tool_name};
use super::rank::Ranked;
use super::read::{Subject, input_of};
use crate::catalog::{Field, is_bindable};
use crate::limits::{INPUTS_MAX, OPTIONAL_INPUTS_PROPOSED};
use crate::search::{Index, alike};
use crate::statement::{Request, RequestInput};
use events::skill::{Action, FieldType, Source};
use serde_json::Value;
use std::collections::HashSet;

pub(super) fn insert(index: &Index, meaning: &Meaning, ranked: &Ranked) -> Vec<Proposal> {
    let object = ranked.object(index.catalog());
    if !object.actions().contains(&Action::Insert) {
        return Vec::new();
    }
    let subject = Subject::new(index, meaning, object, &ranked.rarity);
    let every: Vec<usize> = (0..meaning.words.len()).collect();
    let mut chosen: Vec<(usize, bool)> = Vec::new();
    for (at, field, _) in subject.fields() {
        if field.must_be_set() {
            chosen.push((at, true));
        }
    }
    let mut optional: Vec<(f32, usize)> = Vec::new();
    for (at, field, column) in subject.fields() {
        let open =
            !field.must_be_set() && !field.generated && !field.has_default && is_bindable(&field.shape);
        if !open || label::is_secret(&column.words) || label::is_upkeep(&column.words) {
            continue;
        }
        let said = column.fits(&every, subject.rarity) + 0.4 * column.said(&every);
        let own_key = object.primary_key.len() == 1 && object.primary_key[0] == field.name;
        let telling = label::names_row(&column.words, field)
            || label::is_amount(field)
            || label::is_moment(field)
            || label::target_of(object, field).is_some()
            || column.words.iter().any(|word| {
                ["note", "text", "content", "message", "quantity", "reason", "phone", "email"]
                    .contains(&word.as_str())
            });
        let sensitive = label::is_sensitive(&column.words);
        let score = if own_key { 1.0 } else { said + if telling && !sensitive { 0.25 } else { 0.0 } };
        if score >= 0.25 {
            optional.push((score, at));
        }
    }
    optional.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    optional.truncate(OPTIONAL_INPUTS_PROPOSED);
    chosen.extend(optional.iter().map(|(_, at)| (*at, false)));
    chosen.truncate(INPUTS_MAX);
    chosen.sort_unstable();
    if chosen.is_empty() {
        return Vec::new();
    }
    // What is not nullable must be given, and a row of nothing but gaps is none.
    let only_optional = chosen.iter().all(|(_, required)| !required);
    let inputs = chosen.iter().enumerate().map(|(rank, (at, required))| RequestInput {
        required: Some(*required || only_optional && rank == 0),
        ..input_of(&subject, meaning, *at)
    });
    let inputs = distinct(inputs.collect());
    let mut rationale = ranked.reasons(subject.catalog, meaning);
    let demanded: Vec<&str> = chosen
        .iter()
        .filter(|(_, required)| *required)
        .map(|(at, _)| object.fields[*at].name.as_str())
        .collect();
    rationale.push(if demanded.is_empty() {
        "The table demands no value; the columns that the goal names or that tell most are offered."
            .to_owned()
    } else {
        format!("The table demands `{}`; what has a default is left to it.", demanded.join("`, `"))
    });
    if let [key] = object.primary_key.as_slice()
        && demanded.contains(&key.as_str())
        && label::target_of(object, object.field(key).expect("a key's column")).is_none()
    {
        rationale.push(format!(
            "The database makes no value for the key `{key}`: say in the review where it comes from."
        ));
    }
    rationale.push("A write waits, disabled, for a person's review.".to_owned());
    let names: Vec<&str> = inputs.iter().map(|input| input.param.as_str()).collect();
    vec![Proposal {
        tool_name: tool_name("add", &object.table, None),
        description: format!("Adds one of {}, with {}.", spoken(&object.name), names.join(", ")),
        confidence: ranked.confidence,
        rationale,
        request: Request {
            operation: format!("{}.{}", object.name, Action::Insert.as_str()),
            inputs,
            ..Request::default()
        },
    }]
}

pub(super) fn update(index: &Index, meaning: &Meaning, ranked: &Ranked) -> Vec<Proposal> {
    let object = ranked.object(index.catalog());
    if !object.actions().contains(&Action::Update) {
        return Vec::new();
    }
    let subject = Subject::new(index, meaning, object, &ranked.rarity);
    let Some((key, why)) = key(&subject, meaning) else { return Vec::new() };
    let (changes, reason) = changes(&subject, meaning, ranked, key);
    if changes.is_empty() {
        return Vec::new();
    }
    let key_input = input_of(&subject, meaning, key);
    let key_param = key_input.param.clone();
    let mut inputs = vec![key_input];
    for change in changes {
        inputs.push(change);
    }
    let inputs = distinct(inputs);
    let mut rationale = ranked.reasons(subject.catalog, meaning);
    rationale.extend([why, reason, "A write waits, disabled, for a person's review.".to_owned()]);
    let changed: Vec<&str> = inputs.iter().skip(1).map(|input| input.arg.as_str()).collect();
    let verb = if changed.len() == 1 { format!("change_{}", snake(changed[0])) } else { "change".to_owned() };
    vec![Proposal {
        tool_name: tool_name(&verb, &object.table, None),
        description: format!(
            "Changes {} of the one of {} that {} finds.",
            changed.join(", "),
            spoken(&object.name),
            spoken(&key_param)
        ),
        confidence: ranked.confidence,
        rationale,
        request: Request {
            operation: format!("{}.{}", object.name, Action::Update.as_str()),
            key_column: Some(object.fields[key].name.clone()),
            key_param: Some(key_param),
            inputs,
            ..Request::default()
        },
    }]
}

/// The unique column that finds the row: one that the goal names, else one that people know, else the primary key.
fn key(subject: &Subject, meaning: &Meaning) -> Option<(usize, String)> {
    let words: Vec<usize> = meaning.with(&[Role::Key, Role::Tail]).map(|(at, _)| at).collect();
    let named: Vec<usize> = meaning.with(&[Role::Key]).map(|(at, _)| at).collect();
    let object = subject.object;
    let scored = subject.fields().filter(|(_, field, column)| {
        object.is_unique(&field.name) && is_bindable(&field.shape) && !label::is_secret(&column.words)
    });
    let (score, at) = scored
        .map(|(at, field, column)| {
            let primary = object.primary_key.len() == 1 && object.primary_key[0] == field.name;
            let phone = label::canonical(&column.words) == Some("caller_phone");
            let score = 2.0 * column.fits(&named, subject.rarity)
                + 0.3 * column.said(&words)
                + if meaning.own && phone { 2.0 } else { 0.0 }
                + if primary { 0.5 } else { 0.0 };
            (score, at)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
    let name = &object.fields[at].name;
    Some((
        at,
        if score > 1.0 {
            format!("The goal finds the row by `{name}`, which is unique.")
        } else {
            format!("`{name}` is unique, so at most one row changes.")
        },
    ))
}

/// What is changed, and why these.
fn changes(subject: &Subject, meaning: &Meaning, ranked: &Ranked, key: usize) -> (Vec<RequestInput>, String) {
    let writable = |at: usize, field: &Field| {
        at != key
            && !field.generated
            && is_bindable(&field.shape)
            && !label::is_secret(&subject.columns[at].words)
            && !subject.object.primary_key.contains(&field.name)
    };
    if let Some((input, why)) = by_verb(subject, meaning, &writable) {
        return (vec![input], why);
    }
    // The head of the sentence names the column, else its tail does: `change the status of an order`.
    let mut chosen: Vec<usize> = Vec::new();
    for roles in [&[Role::Head][..], &[Role::Head, Role::Tail]] {
        let mut open: Vec<usize> = meaning.with(roles).map(|(at, _)| at).collect();
        let asked = open.clone();
        while chosen.len() < OPTIONAL_INPUTS_PROPOSED && !open.is_empty() {
            let best = subject
                .fields()
                .filter(|(at, field, _)| writable(*at, field) && !chosen.contains(at))
                .map(|(at, _, column)| {
                    let gain: f32 = open
                        .iter()
                        .map(|word| {
                            // What names the table is no column of it, unless nothing else is.
                            let named = if ranked.named[*word] >= 0.75 { 0.5 } else { 1.0 };
                            named * column.clear(*word)
                        })
                        .sum();
                    (gain * column.said(&asked), at)
                })
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let Some((_, at)) = best.filter(|(gain, _)| *gain >= 0.3) else { break };
            chosen.push(at);
            open.retain(|word| subject.columns[at].likeness(*word) < 0.6);
        }
        if !chosen.is_empty() {
            break;
        }
    }
    if !chosen.is_empty() {
        let names: Vec<&str> = chosen.iter().map(|at| subject.object.fields[*at].name.as_str()).collect();
        let why = format!("The goal names what changes: `{}`.", names.join("`, `"));
        let one = chosen.len() == 1;
        return (chosen.iter().map(|at| change(subject, *at, one)).collect(), why);
    }
    let plain = subject.fields().filter(|(at, field, column)| {
        writable(*at, field)
            && label::target_of(subject.object, field).is_none()
            && !label::is_upkeep(&column.words)
            && !label::is_sensitive(&column.words)
    });
    let inputs: Vec<RequestInput> =
        plain.take(OPTIONAL_INPUTS_PROPOSED).map(|(at, _, _)| change(subject, at, false)).collect();
    (inputs, "The goal does not say which columns change, so the first plain ones are offered.".to_owned())
}

fn change(subject: &Subject, at: usize, required: bool) -> RequestInput {
    let field = &subject.object.fields[at];
    let name = parameter(&field.name, &subject.object.table);
    RequestInput {
        param: format!("new_{}", name.chars().take(55).collect::<String>()),
        arg: field.name.clone(),
        required: Some(required),
        ..RequestInput::default()
    }
}

/// `cancel`, `mark as paid`, `reschedule`: the verb says which column changes, and may say to what.
fn by_verb(
    subject: &Subject,
    meaning: &Meaning,
    writable: &dyn Fn(usize, &Field) -> bool,
) -> Option<(RequestInput, String)> {
    let verb = meaning.verb.as_deref()?;
    if ["reschedule", "postpone", "shift", "move"].contains(&verb)
        && !meaning.words.iter().any(|word| word.text == "address")
    {
        let (at, field, _) = subject.fields().find(|(at, field, column)| {
            writable(*at, field)
                && label::is_moment(field)
                && !label::is_upkeep(&column.words)
                && !label::is_sensitive(&column.words)
        })?;
        return Some((change(subject, at, true), format!("To {verb} is to change `{}`.", field.name)));
    }
    let state = |column: &super::columns::Column| {
        column.words.iter().any(|word| ["status", "state", "stage"].contains(&word.as_str()))
    };
    let plain = [
        "change", "update", "modify", "edit", "set", "alter", "correct", "fix", "replace", "adjust", "raise",
        "lower", "amend", "revise",
    ];
    if plain.contains(&verb) {
        return None;
    }
    // A value that the column itself allows, and that the verb or the goal means.
    for (at, field, _) in subject.fields() {
        if !writable(at, field) || field.shape.field_type != FieldType::Enum || field.shape.set {
            continue;
        }
        let says = |value: &&String| {
            let mut any = false;
            crate::search::words(value, |word| {
                any |= is_past_of(&word, verb)
                    || meaning.words.iter().any(|said| said.text == word && said.role != Role::Key);
            });
            any
        };
        if let Some(value) = field.shape.enum_values.iter().find(says) {
            let input = RequestInput {
                source: Source::Constant,
                value: Some(Value::String(value.clone())),
                ..change(subject, at, true)
            };
            return Some((
                input,
                format!("To {verb} is to set `{}` to `{value}`, one of its values.", field.name),
            ));
        }
    }
    let (at, field, _) =
        subject.fields().find(|(at, field, column)| writable(*at, field) && state(column))?;
    let named = subject.fields().any(|(other, field, column)| {
        other != at
            && writable(other, field)
            && meaning
                .with(&[Role::Head])
                .any(|(word, _)| column.likeness(word) >= 0.75 && column.said(&[word]) > 0.6)
    });
    (!named).then(|| (change(subject, at, true), format!("To {verb} is to change `{}`.", field.name)))
}

fn is_past_of(word: &str, verb: &str) -> bool {
    word == verb || alike(verb, word).is_some_and(|how| how.weight() >= 0.75)
}

/// Parameters of different names: two columns may be the same to a call.
fn distinct(inputs: Vec<RequestInput>) -> Vec<RequestInput> {
    let mut names = HashSet::new();
    inputs
        .into_iter()
        .map(|mut input| {
            if !names.insert(input.param.clone()) {
                input.param = snake(&input.arg);
                let base = if input.param.is_empty() { "value".to_owned() } else { input.param.clone() };
                let mut number = 2;
                input.param = base.clone();
                while !names.insert(input.param.clone()) {
                    input.param = format!("{base}_{number}");
                    number += 1;
                }
                if input.source == Source::Caller {
                    input.source = Source::Model;
                }
            }
            input
        })
        .collect()
}
