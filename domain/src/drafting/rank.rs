//! Which objects a goal is about.
//!
//! Words find candidates through the index; each candidate is then judged by how much of the goal its name, its
//! columns and its neighbours explain, how much of its name the goal says, and what kind of object it is.

use super::columns::{Column, Matcher};
use super::goal::{Meaning, Role, Wanted};
use super::label;
use crate::catalog::{Catalog, Object, ObjectKind, RelationshipKind};
use crate::limits::CANDIDATES;
use crate::search::{How, Index};
use events::skill::Action;
use std::collections::HashMap;

/// An object with the reasons for its rank.
pub struct Ranked {
    at: usize,
    /// From 0 to 1.
    pub score: f32,
    /// From 0 to 1: how far it is ahead of the others, and how much of the goal it explains.
    pub confidence: f32,
    weight: f32,
    pub features: [f32; FEATURES],
    /// How much of what the goal says this object explains, from 0 to 1.
    pub explained: f32,
    /// For each word of the goal, how much it says in this schema.
    pub rarity: Vec<f32>,
    /// For each word of the goal, how near it is to the object's name.
    pub named: Vec<f32>,
}

/// What a word has found in one object at best.
#[derive(Clone, Copy, Default)]
struct Found {
    name: f32,
    column: f32,
    comment: f32,
    neighbour: f32,
}

pub const FEATURES: usize = 22;

/// Fitted by pairwise logistic regression on goals with a known table: docs/auto.md.
const WEIGHTS: [f32; FEATURES] = [
    6.33, 6.02, 3.35, // head, tail and key words in the name
    3.92, 2.74, 2.57, // the same in columns
    1.05, // comments
    1.03, 1.2,  // neighbours: head, tail and key
    3.03, // how much of the name is said
    0.69, 0.18, // the name's last word is a head word, a tail word
    2.2,  // an indexed column is what rows are found by
    2.16, // a column is what is asked for
    -0.23, -1.76, -0.35, // link table, kept for upkeep, view
    0.25, -0.01, 0.54,  // rows, what refers to it, columns
    0.78,  // can do what is wanted
    -0.18, // nearly all of the name is said
];

/// The weight at which an object is as likely right as wrong.
const MIDDLE: f32 = 6.0;
/// How soon a lead over other objects makes sure.
const TEMPERATURE: f32 = 1.5;

/// Words of names that are kept beside the real thing.
const ASIDE: &[&str] = &[
    "archive",
    "audit",
    "aud",
    "backup",
    "bak",
    "cache",
    "config",
    "configuration",
    "copy",
    "history",
    "hist",
    "hi",
    "import",
    "log",
    "migration",
    "mapping",
    "map",
    "meta",
    "metadata",
    "old",
    "queue",
    "schema",
    "staging",
    "temp",
    "template",
    "test",
    "tmp",
    "version",
    "batch",
    "job",
    "stage",
    "deprecated",
    "legacy",
    "translation",
    "setting",
    "default",
];

impl Ranked {
    pub fn object<'a>(&self, catalog: &'a Catalog) -> &'a Object {
        &catalog.objects[self.at]
    }

    /// Enough of the goal has to do with it.
    pub fn fits(&self) -> bool {
        let named = self.named.iter().copied().fold(0.0, f32::max);
        self.explained >= 0.2 || named >= How::Synonym.weight() && self.features[9] >= 0.5
    }

    pub fn can(&self, catalog: &Catalog, wanted: Wanted, allow_write: bool) -> bool {
        let actions = self.object(catalog).actions();
        match wanted {
            Wanted::Read | Wanted::Removal => actions.contains(&Action::Read),
            Wanted::Insert => actions.contains(if allow_write { &Action::Insert } else { &Action::Read }),
            Wanted::Update => actions.contains(if allow_write { &Action::Update } else { &Action::Read }),
        }
    }

    pub fn reasons(&self, catalog: &Catalog, meaning: &Meaning) -> Vec<String> {
        let object = self.object(catalog);
        let said: Vec<&str> = meaning
            .words
            .iter()
            .zip(&self.named)
            .filter(|(_, near)| **near >= How::Beginning.weight())
            .map(|(word, _)| word.text.as_str())
            .collect();
        let mut reasons = Vec::new();
        if said.is_empty() {
            reasons.push(format!("Columns of `{}` answer to words of the goal.", object.name));
        } else {
            reasons.push(format!("The name `{}` answers to “{}”.", object.name, said.join("”, “")));
        }
        reasons.push(format!("It explains {:.0} % of what the goal says.", self.explained * 100.0));
        reasons
    }
}

/// Objects that have to do with the goal, best first.
pub fn rank(index: &Index, meaning: &Meaning) -> Vec<Ranked> {
    let catalog = index.catalog();
    let count = meaning.words.len();
    let mut found: HashMap<u32, Vec<Found>> = HashMap::new();
    let mut rarity = Vec::with_capacity(count);
    for (at, word) in meaning.words.iter().enumerate() {
        let mut here: HashMap<u32, Found> = HashMap::new();
        if word.initials && !index.holds(&word.text) {
            rarity.push(0.0);
            continue;
        }
        index.occurrences(&word.text, |occurrence| {
            let one = here.entry(occurrence.object).or_default();
            if word.initials && occurrence.how != How::Same {
                return;
            }
            let weight = occurrence.how.weight();
            let best = match (occurrence.named, occurrence.field) {
                (true, None) => &mut one.name,
                (true, Some(_)) => &mut one.column,
                (false, _) => &mut one.comment,
            };
            *best = best.max(weight);
        });
        let often = here.values().filter(|one| one.name.max(one.column) >= 0.6).count();
        let rare = (catalog.objects.len() as f32 / (1.0 + often as f32)).ln_1p().max(0.15);
        // A word that occurs nowhere tells no object from another.
        rarity.push(if here.is_empty() { 0.3 * rare } else { rare });
        for (object, one) in here {
            found.entry(object).or_insert_with(|| vec![Found::default(); count])[at] = one;
        }
    }
    neighbours(catalog, &mut found);
    let mut rough: Vec<(f32, u32)> = found
        .iter()
        .map(|(object, words)| {
            let each = words.iter().zip(&rarity).map(|(one, rarity)| {
                rarity * one.name.max(0.6 * one.column).max(0.4 * one.comment).max(0.3 * one.neighbour)
            });
            (each.sum(), *object)
        })
        .collect();
    rough.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rough.truncate(CANDIDATES);
    let mut matcher = Matcher::new(index, &meaning.words, &rarity);
    let mut ranked: Vec<Ranked> = rough
        .into_iter()
        .map(|(_, at)| judge(catalog, meaning, &mut matcher, at as usize, &found[&at]))
        .collect();
    ranked.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.at.cmp(&b.at)));
    let best = ranked.first().map_or(0.0, |first| first.weight);
    let ahead = |ranked: &Ranked| ((ranked.weight - best) / TEMPERATURE).exp();
    let all: f32 = ranked.iter().map(ahead).sum();
    for ranked in &mut ranked {
        ranked.confidence = (ahead(ranked) / all).sqrt() * (0.3 + 0.7 * ranked.explained.min(1.0));
    }
    ranked
}

/// A word that names the object which a foreign key leads to says something of this one too.
fn neighbours(catalog: &Catalog, found: &mut HashMap<u32, Vec<Found>>) {
    let named: Vec<(u32, Vec<f32>)> = found
        .iter()
        .filter(|(_, words)| words.iter().any(|one| one.name > 0.0))
        .map(|(object, words)| (*object, words.iter().map(|one| one.name).collect()))
        .collect();
    for (object, names) in named {
        for edge in &catalog.objects[object as usize].relationships {
            // The many side is about the one side: a hub would otherwise be about everything.
            if edge.kind == RelationshipKind::BelongsTo {
                continue;
            }
            let Some(other) = position(catalog, &edge.target) else { continue };
            if let Some(words) = found.get_mut(&other) {
                for (one, name) in words.iter_mut().zip(&names) {
                    one.neighbour = one.neighbour.max(*name);
                }
            }
        }
    }
}

fn position(catalog: &Catalog, name: &str) -> Option<u32> {
    catalog.objects.binary_search_by(|object| object.name.as_str().cmp(name)).ok().map(|at| at as u32)
}

fn judge(catalog: &Catalog, meaning: &Meaning, matcher: &mut Matcher, at: usize, found: &[Found]) -> Ranked {
    let object = &catalog.objects[at];
    let rarity = matcher.rarity;
    let (name_words, near) = matcher.name(&object.name);
    let columns = matcher.columns(object);
    let named: Vec<f32> = (0..found.len())
        .map(|word| near.iter().map(|near| near[word]).fold(found[word].name * 0.8, f32::max))
        .collect();
    let mut features = [0f32; FEATURES];
    let total: f32 = rarity.iter().sum::<f32>().max(0.01);
    let mut explained = 0.0;
    for (word, one) in meaning.words.iter().zip(found).enumerate().map(|(at, (word, one))| ((at, word), one))
    {
        let (at, word) = word;
        let share = rarity[at] / total;
        let column =
            columns.iter().map(|column| column.likeness(at)).fold(0.0, f32::max).max(one.column * 0.8);
        let beyond = |value: f32, known: f32| (value - known).max(0.0);
        let (in_name, in_column, in_neighbour) = match word.role {
            Role::Head => (0, 3, 7),
            Role::Tail => (1, 4, 8),
            Role::Key | Role::Order => (2, 5, 8),
        };
        features[in_name] += share * named[at];
        features[in_column] += share * beyond(column, named[at]);
        features[in_neighbour] += share * beyond(one.neighbour, named[at].max(column));
        features[6] += share * beyond(one.comment, named[at].max(column));
        let found = named[at].max(0.9 * column).max(0.5 * one.comment).max(0.4 * one.neighbour);
        explained += share * found;
    }
    let of = |roles: &[Role]| meaning.with(roles).map(|(at, _)| at).collect::<Vec<usize>>();
    let (head, tail, key) = (of(&[Role::Head]), of(&[Role::Tail]), of(&[Role::Key]));
    let telling: Vec<usize> =
        (0..name_words.len()).filter(|at| !is_common(catalog, &name_words[*at])).collect();
    let said = |at: usize| near[at].iter().copied().fold(0.0, f32::max);
    features[9] = telling.iter().map(|at| said(*at)).sum::<f32>() / telling.len().max(1) as f32;
    if let Some(last) = telling.last() {
        features[10] = head.iter().map(|word| near[*last][*word]).fold(0.0, f32::max);
        features[11] = tail.iter().map(|word| near[*last][*word]).fold(0.0, f32::max);
    }
    let best = |columns: &mut dyn Iterator<Item = &Column>, words: &[usize]| {
        columns.map(|column| column.fits(words, rarity)).fold(0.0, f32::max)
    };
    let mut filters =
        object.fields.iter().zip(&columns).filter(|(field, _)| label::is_filter(field)).map(|pair| pair.1);
    features[12] = best(&mut filters, if key.is_empty() { &tail } else { &key });
    features[13] = best(&mut columns.iter(), &head);
    let foreign = object.fields.iter().filter(|field| label::target_of(object, field).is_some()).count();
    features[14] = f32::from(foreign >= 2 && object.fields.len() <= foreign + 2);
    let aside =
        name_words.iter().enumerate().filter(|(at, word)| ASIDE.contains(&word.as_str()) && said(*at) < 0.6);
    features[15] = aside.count().min(2) as f32;
    features[16] = f32::from(object.kind != ObjectKind::Table);
    features[17] = (object.row_estimate.unwrap_or(0) as f32).ln_1p().min(12.0) / 4.0;
    let referring = object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::HasMany).count();
    features[18] = (referring as f32).ln_1p();
    // Beyond thirty columns more of them say nothing.
    features[19] = (object.fields.len().min(30) as f32).ln_1p();
    features[20] = f32::from(object.actions().contains(&match meaning.wanted {
        Wanted::Read | Wanted::Removal => Action::Read,
        Wanted::Insert => Action::Insert,
        Wanted::Update => Action::Update,
    }));
    features[21] = f32::from(features[9] > 0.7);
    let weight: f32 = features.iter().zip(WEIGHTS).map(|(feature, weight)| feature * weight).sum();
    let score = 1.0 / (1.0 + (MIDDLE - weight).exp());
    let rarity = rarity.to_vec();
    Ranked { at, score, confidence: 0.0, weight, features, explained, rarity, named }
}

/// A beginning such as `tbl` or `act` that so many names share that it says nothing.
fn is_common(catalog: &Catalog, word: &str) -> bool {
    if word.len() > 4 || catalog.objects.len() < 5 {
        return word.len() < 2;
    }
    let with = catalog.objects.iter().filter(|object| {
        object.table.len() > word.len()
            && object.table.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    });
    with.count() * 3 > catalog.objects.len()
}
