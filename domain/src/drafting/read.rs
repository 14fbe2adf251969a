//! Proposes a read of one object: what finds its rows, what it answers with, in which order.

use super::Proposal;
use super::columns::{Column, Matcher};
use super::goal::{Meaning, Order, Role};
use super::label;
use super::names::{parameter, spoken, tool_name};
use super::projection::{Leaves, hops, outputs};
use super::rank::Ranked;
use crate::catalog::{Catalog, Field, Indexed, Object, RelationshipKind};
use crate::limits::ROWS_DEFAULT;
use crate::search::{Index, alike};
use crate::statement::{Request, RequestInput};
use events::skill::{Action, Direction, FieldType, Source};

/// An object with its columns set against the goal.
pub(super) struct Subject<'a> {
    pub catalog: &'a Catalog,
    pub object: &'a Object,
    pub words: Vec<String>,
    pub columns: Vec<Column>,
    pub rarity: &'a [f32],
}

impl<'a> Subject<'a> {
    pub fn new(index: &'a Index, meaning: &'a Meaning, object: &'a Object, rarity: &'a [f32]) -> Self {
        let mut matcher = Matcher::new(index, &meaning.words, rarity);
        let columns = matcher.columns(object);
        Self { catalog: index.catalog(), object, words: index.name_words(&object.name), columns, rarity }
    }

    pub fn fields(&self) -> impl Iterator<Item = (usize, &'a Field, &Column)> {
        self.object
            .fields
            .iter()
            .zip(&self.columns)
            .enumerate()
            .map(|(at, (field, column))| (at, field, column))
    }
}

/// Ways to find rows of the object, best first, at most two; with the caller's phone over a parent where the goal
/// is about the caller's own rows.
pub(super) fn propose(index: &Index, meaning: &Meaning, ranked: &Ranked) -> Vec<Proposal> {
    let subject = Subject::new(index, meaning, ranked.object(index.catalog()), &ranked.rarity);
    let mut proposals = Vec::new();
    if meaning.own
        && own_filter(&subject).is_none()
        && let Some(proposal) = through_the_caller(index, meaning, ranked, &subject)
    {
        proposals.push(proposal);
    }
    if let Some((at, why)) = filter(&subject, meaning, ranked) {
        proposals.push(by(&subject, meaning, ranked, at, why));
    }
    proposals
}

/// The column that a caller's phone finds rows by.
fn own_filter(subject: &Subject) -> Option<usize> {
    let phone = |(_, field, column): &(usize, &Field, &Column)| {
        label::is_filter(field)
            && field.shape.field_type == FieldType::String
            && label::canonical(&column.words) == Some("caller_phone")
    };
    subject.fields().find(phone).map(|(at, _, _)| at)
}

/// What rows are found by, and why.
pub(super) fn filter(subject: &Subject, meaning: &Meaning, ranked: &Ranked) -> Option<(usize, String)> {
    if meaning.own
        && let Some(at) = own_filter(subject)
    {
        return Some((
            at,
            "The goal is about the caller's own rows, so the number that calls finds them.".into(),
        ));
    }
    let words = |roles: &[Role]| meaning.with(roles).map(|(at, _)| at).collect::<Vec<usize>>();
    let (key, tail) = (words(&[Role::Key]), words(&[Role::Tail]));
    let every: Vec<usize> = (0..meaning.words.len()).collect();
    // What names the table is no reason against a column that repeats it, such as `track_id`.
    let mut head = words(&[Role::Head]);
    head.retain(|word| ranked.named[*word] < 0.75);
    // `track <value>`: the word before the value names the table, so the value is its name.
    let by_name = meaning.named
        && key.iter().all(|word| ranked.named[*word] >= 0.75 || meaning.words[*word].text == "name");
    let mut best: Option<(f32, usize)> = None;
    for (at, field, column) in subject.fields().filter(|(_, field, _)| label::is_filter(field)) {
        if label::is_secret(&column.words) {
            continue;
        }
        let mut score = 0.0;
        if !key.is_empty() {
            score += 3.0 * column.fits(&key, subject.rarity) + 0.6 * column.said(&key);
        }
        let target = label::target_of(subject.object, field);
        let parent = target.is_some_and(|target| target != subject.object.name);
        // `loan_officer_id` leads to staff, so it is not what “on a loan” means.
        let led = target.is_some_and(|target| {
            let of_target = words_of(target);
            tail.iter().any(|word| {
                let near = |other: &String| {
                    alike(&meaning.words[*word].text, other).is_some_and(|how| how.weight() >= 0.75)
                };
                of_target.iter().any(near)
            })
        });
        let owner = target.is_some_and(|target| label::is_party(&words_of(target)));
        score += if meaning.own && parent && owner { 1.0 } else { 0.0 };
        score += if parent && led { 1.2 } else { 0.8 } * column.fits(&tail, subject.rarity);
        if parent && !led && key.is_empty() {
            score -= 0.4;
        }
        if parent && key.is_empty() && tail.is_empty() {
            score += column.fits(&head, subject.rarity) + 0.6 * column.said(&head);
        }
        score += 0.25 * column.said(&every) - if key.is_empty() { 0.6 } else { 0.2 } * column.said(&head);
        score += usual(subject, field, column, parent);
        if by_name
            && label::is_name(&column.words, &subject.words)
            && field.shape.field_type == FieldType::String
        {
            score += 2.5;
        }
        if meaning.placed && key.is_empty() && label::is_place(&column.words) {
            score += 1.0;
        }
        if best.is_none_or(|(other, _)| score > other) {
            best = Some((score, at));
        }
    }
    let (_, at) = best?;
    let (field, column) = (&subject.object.fields[at], &subject.columns[at]);
    let why = if !key.is_empty() && column.said(&key) > 0.3 {
        format!("The goal finds rows by what `{}` holds, and an index serves it.", field.name)
    } else if column.said(&tail) > 0.3 {
        format!("`{}` says what the rows belong to, and an index serves it.", field.name)
    } else {
        format!("The goal does not say what finds the rows; `{}` is indexed and usually known.", field.name)
    };
    Some((at, why))
}

pub(super) fn words_of(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    crate::search::words(name, |word| words.push(word));
    words
}

/// What people usually know, when the goal does not say.
fn usual(subject: &Subject, field: &Field, column: &Column, parent: bool) -> f32 {
    let primary = subject.object.primary_key.len() == 1 && subject.object.primary_key[0] == field.name;
    let text = field.shape.field_type == FieldType::String;
    let mut score: f32 = 0.0;
    if field.indexed == Indexed::Unique {
        score += if primary { 0.16 } else { 0.2 };
    }
    if label::names_row(&column.words, field) || text && label::canonical(&column.words).is_some() {
        score += 0.12;
    }
    if parent {
        score += 0.1;
    }
    if label::is_upkeep(&column.words) || field.shape.field_type == FieldType::Boolean {
        score -= 0.3;
    }
    score
}

fn by(subject: &Subject, meaning: &Meaning, ranked: &Ranked, at: usize, why: String) -> Proposal {
    let field = &subject.object.fields[at];
    let input = input_of(subject, meaning, at);
    let mut projection = Leaves::new(&subject.object.name);
    outputs(subject, meaning, at, &mut projection);
    hops(subject, meaning, ranked, &mut projection);
    projection.add_some(subject);
    let order_by = order(subject, meaning);
    let unique = subject.object.is_unique(&field.name);
    let limit = if meaning.single || unique { 1 } else { ROWS_DEFAULT };
    let mut rationale = ranked.reasons(subject.catalog, meaning);
    rationale.push(why);
    if let Some((column, direction)) = order_by.first() {
        let first = if *direction == Direction::Desc { "greatest" } else { "least" };
        rationale.push(format!("Rows with the {first} `{column}` come first, as the goal asks."));
    }
    if input.source == Source::Caller {
        rationale.push("The number comes from the call itself, never from the model.".to_owned());
    }
    let leaves: Vec<&str> = projection.leaves.iter().map(|leaf| leaf.leaf.as_str()).collect();
    Proposal {
        tool_name: tool_name(if unique { "get" } else { "find" }, &subject.object.table, Some(&field.name)),
        description: format!(
            "Looks up {} by {}; answers with {}.",
            spoken(&subject.object.name),
            spoken(&input.param),
            leaves.join(", ")
        ),
        confidence: ranked.confidence,
        rationale,
        request: Request {
            operation: format!("{}.{}", subject.object.name, Action::Read.as_str()),
            inputs: vec![input],
            projection: projection.leaves,
            order_by,
            limit: Some(limit),
            ..Request::default()
        },
    }
}

/// Reads the row of the caller, and over its relationship the rows that the goal is about.
fn through_the_caller(
    index: &Index,
    meaning: &Meaning,
    ranked: &Ranked,
    subject: &Subject,
) -> Option<Proposal> {
    let owners = subject.object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::BelongsTo);
    for edge in owners {
        let Some(parent) =
            subject.catalog.object(&edge.target).filter(|parent| parent.name != subject.object.name)
        else {
            continue;
        };
        let owner = Subject::new(index, meaning, parent, &ranked.rarity);
        let Some(at) =
            own_filter(&owner).filter(|_| label::is_party(&owner.words) && parent.privileges.select)
        else {
            continue;
        };
        let Some(back) = parent.relationships.iter().find(|other| {
            other.kind == RelationshipKind::HasMany
                && other.constraint == edge.constraint
                && other.target == subject.object.name
        }) else {
            continue;
        };
        let mut own = Leaves::new(&subject.object.name);
        outputs(subject, meaning, usize::MAX, &mut own);
        own.add_some(subject);
        let mut leaves = Leaves::new(&parent.name);
        for leaf in own.leaves {
            leaves.add(&back.name, &leaf.path[1]);
        }
        let input = input_of(&owner, meaning, at);
        let names: Vec<&str> = leaves.leaves.iter().map(|leaf| leaf.leaf.as_str()).collect();
        let mut rationale = ranked.reasons(subject.catalog, meaning);
        rationale.push(format!(
            "The goal is about the caller's own rows: the number that calls finds the row in `{}`, and `{}` leads to \
             `{}`.",
            parent.name, back.name, subject.object.name
        ));
        rationale.push("The number comes from the call itself, never from the model.".to_owned());
        if meaning.order.is_some() {
            rationale.push(format!(
                "A read sorts by its own columns only, so rows of `{}` come in no order here; the alternative sorts them.",
                subject.object.name
            ));
        }
        return Some(Proposal {
            tool_name: tool_name("my", &subject.object.table, None),
            description: format!(
                "Looks up {} of the caller; answers with {}.",
                spoken(&subject.object.name),
                names.join(", ")
            ),
            confidence: ranked.confidence,
            rationale,
            request: Request {
                operation: format!("{}.{}", parent.name, Action::Read.as_str()),
                inputs: vec![input],
                projection: leaves.leaves,
                limit: Some(4 * ROWS_DEFAULT),
                ..Request::default()
            },
        });
    }
    None
}

/// A parameter for a column: the canonical name when it holds what every call knows.
pub(super) fn input_of(subject: &Subject, meaning: &Meaning, at: usize) -> RequestInput {
    let (field, column) = (&subject.object.fields[at], &subject.columns[at]);
    let party = label::is_party(&subject.words) || meaning.own;
    let canonical =
        label::canonical(&column.words).filter(|_| party && field.shape.field_type == FieldType::String);
    let param = match canonical {
        Some(name) => name.to_owned(),
        None => parameter(&field.name, &subject.object.table),
    };
    let caller = meaning.own && param == "caller_phone";
    RequestInput {
        param,
        arg: field.name.clone(),
        required: Some(true),
        source: if caller { Source::Caller } else { Source::Model },
        ..RequestInput::default()
    }
}

fn order(subject: &Subject, meaning: &Meaning) -> Vec<(String, Direction)> {
    let moments = || {
        subject
            .fields()
            .filter(|(_, field, column)| label::is_moment(field) && !label::is_sensitive(&column.words))
    };
    let moment = || {
        moments()
            .find(|(_, _, column)| !label::is_upkeep(&column.words))
            .or_else(|| moments().next())
            .map(|(_, field, _)| field)
    };
    match meaning.order {
        None => Vec::new(),
        Some(Order::Newest) => {
            moment().map(|field| (field.name.clone(), Direction::Desc)).into_iter().collect()
        }
        Some(Order::Soonest) => {
            moment().map(|field| (field.name.clone(), Direction::Asc)).into_iter().collect()
        }
        Some(Order::Named { descending }) => {
            let words: Vec<usize> = meaning.with(&[Role::Order]).map(|(at, _)| at).collect();
            let named = subject
                .fields()
                .map(|(_, field, column)| (column.said(&words), field))
                .filter(|(said, _)| *said > 0.3)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let direction = if descending { Direction::Desc } else { Direction::Asc };
            named.map(|(_, field)| (field.name.clone(), direction)).into_iter().collect()
        }
    }
}
