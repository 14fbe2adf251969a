//! Finds the tables and columns that a person's words mean.

mod alike;
mod expand;
mod lexicon;
mod split;
mod why;
mod words;

pub use alike::{How, alike};
pub use why::{Place, Why};
pub use words::singular;
pub(crate) use words::{is_stop, words};

use crate::catalog::{Catalog, Field, Object};
use events::skill::FieldType;
use serde::Serialize;
use split::Splitter;
use std::collections::HashMap;
use std::sync::Arc;

/// A table, or a column of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    pub object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub field_type: Option<FieldType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Greater is better; comparable within one answer only.
    pub score: f32,
    /// The object, then the column, as a projection takes them.
    pub path: Vec<String>,
    /// Which words of the question were found, where, and how.
    pub why: Vec<Why>,
}

/// An inverted index over one catalog, made once for each discovery and scoping.
pub struct Index {
    catalog: Arc<Catalog>,
    entries: Vec<Entry>,
    /// Sorted, so that words with a common beginning stand together.
    terms: Vec<(Box<str>, Vec<Posting>)>,
    /// Words of an average entry.
    length: f32,
    splitter: Splitter,
}

/// What can be found. An object's entry stands before those of its columns.
struct Entry {
    object: u32,
    field: Option<u32>,
    /// Position of the object's own entry.
    parent: u32,
    length: f32,
}

/// That a word occurs in an entry, and how much it says there.
#[derive(Clone, Copy)]
struct Posting {
    entry: u32,
    weight: f32,
}

/// Where a word of a question was found, for those that rank objects by more than words.
pub(crate) struct Occurrence {
    pub object: u32,
    pub field: Option<u32>,
    pub how: How,
    /// The name holds it, not only the comment.
    pub named: bool,
}

/// A word of a name says all, one of a comment a part.
const COMMENT: f32 = 0.35;
/// How much of its table's score a column gets.
const OF_OBJECT: f32 = 0.5;
/// The two parameters of BM25: how soon repetition stops to count, and how much length does.
const K1: f32 = 1.2;
const B: f32 = 0.5;

impl Index {
    /// `catalog` holds only what may be found: see [`Catalog::visible`].
    pub fn build(catalog: Arc<Catalog>) -> Index {
        let splitter = Splitter::of(&catalog);
        let mut terms: HashMap<String, Vec<Posting>> = HashMap::new();
        let mut entries = Vec::new();
        let mut add = |entry: usize, name: &str, comment: Option<&str>| {
            let mut length = 0.0;
            for (text, weight) in [(name, 1.0), (comment.unwrap_or_default(), COMMENT)] {
                words(text, |word| {
                    for part in splitter.parts(&word).filter(|part| *part != word) {
                        post(&mut terms, part, entry as u32, weight);
                    }
                    post(&mut terms, &word, entry as u32, weight);
                    length += weight;
                });
            }
            length
        };
        for (at, object) in catalog.objects.iter().enumerate() {
            let parent = entries.len() as u32;
            let length = add(entries.len(), &object.name, object.comment.as_deref());
            entries.push(Entry { object: at as u32, field: None, parent, length });
            for (column, field) in object.fields.iter().enumerate() {
                let length = add(entries.len(), &field.name, field.comment.as_deref());
                entries.push(Entry { object: at as u32, field: Some(column as u32), parent, length });
            }
        }
        let total: f32 = entries.iter().map(|entry| entry.length).sum();
        let length = total / entries.len().max(1) as f32;
        let mut terms: Vec<(Box<str>, Vec<Posting>)> =
            terms.into_iter().map(|(term, postings)| (term.into_boxed_str(), postings)).collect();
        terms.iter_mut().for_each(|(_, postings)| postings.shrink_to_fit());
        terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Index { catalog, entries, terms, length, splitter }
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// At most `limit` hits, best first.
    pub fn query(&self, q: &str, limit: usize) -> Vec<Hit> {
        let mut scores = vec![0f32; self.entries.len()];
        let mut best = vec![0f32; self.entries.len()];
        let mut touched = Vec::new();
        let asked = words::question(q);
        for word in &asked {
            // Of a word and its likes, the one that fits an entry best counts there.
            let mut seen: Vec<u32> = Vec::new();
            for (term, how) in self.expand(word) {
                let postings = &self.terms[term].1;
                let rarity = (self.entries.len() as f32 / postings.len() as f32).ln_1p();
                for posting in postings {
                    let at = posting.entry as usize;
                    let long = 1.0 - B + B * self.entries[at].length / self.length;
                    let often = posting.weight * (K1 + 1.0) / (posting.weight + K1 * long);
                    let score = how.weight() * rarity * often;
                    if best[at] == 0.0 {
                        seen.push(posting.entry);
                    }
                    best[at] = best[at].max(score);
                }
            }
            for entry in seen {
                let at = entry as usize;
                if scores[at] == 0.0 {
                    touched.push(entry);
                }
                scores[at] += std::mem::take(&mut best[at]);
            }
        }
        let mut ranked: Vec<(f32, u32)> = touched
            .into_iter()
            .map(|entry| {
                let at = &self.entries[entry as usize];
                let of_object = if at.parent == entry { 0.0 } else { scores[at.parent as usize] };
                (scores[entry as usize] + OF_OBJECT * of_object, entry)
            })
            .collect();
        // Entries stand in the order of names, so equal scores keep it.
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if ranked.len() > limit {
            ranked.select_nth_unstable_by(limit, order);
            ranked.truncate(limit);
        }
        ranked.sort_unstable_by(order);
        ranked
            .into_iter()
            .map(|(score, entry)| self.hit(score, &self.entries[entry as usize], &asked))
            .collect()
    }

    /// Whether a name or comment holds this very word.
    pub(crate) fn holds(&self, word: &str) -> bool {
        self.terms.binary_search_by(|(term, _)| term.as_ref().cmp(word)).is_ok()
    }

    /// Everything that one word may mean.
    pub(crate) fn occurrences(&self, word: &str, mut each: impl FnMut(Occurrence)) {
        for (term, how) in self.expand(word) {
            for posting in &self.terms[term].1 {
                let Entry { object, field, .. } = self.entries[posting.entry as usize];
                each(Occurrence { object, field, how, named: posting.weight >= 1.0 });
            }
        }
    }

    /// The words of a name, compounds such as `firstname` as their parts.
    pub(crate) fn name_words(&self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(name, |word| all.extend(self.splitter.parts(&word).map(str::to_owned)));
        all
    }

    fn hit(&self, score: f32, entry: &Entry, asked: &[String]) -> Hit {
        let object: &Object = &self.catalog.objects[entry.object as usize];
        let field: Option<&Field> = entry.field.map(|field| &object.fields[field as usize]);
        let names = std::iter::once(&object.name).chain(field.map(|field| &field.name));
        Hit {
            object: object.name.clone(),
            field: field.map(|field| field.name.clone()),
            field_type: field.map(|field| field.shape.field_type),
            comment: field.map_or(&object.comment, |field| &field.comment).clone(),
            score,
            path: names.cloned().collect(),
            why: self.why(object, field, asked),
        }
    }
}

/// Adds one more occurrence of a word.
fn post(terms: &mut HashMap<String, Vec<Posting>>, word: &str, entry: u32, weight: f32) {
    let postings = match terms.get_mut(word) {
        Some(postings) => postings,
        None => terms.entry(word.to_owned()).or_default(),
    };
    match postings.last_mut().filter(|posting| posting.entry == entry) {
        Some(posting) => posting.weight += weight,
        None => postings.push(Posting { entry, weight }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture::{clinic, field, table};
    use events::IntegrationKind;
    use events::scoping::Blocked;
    use proptest::prelude::*;

    fn found(index: &Index, q: &str) -> Vec<String> {
        index.query(q, 5).into_iter().map(|hit| hit.path.join(".")).collect()
    }

    fn small() -> Index {
        let mut people = table("custAccounts");
        people.comment = Some("Everybody who buys from us".into());
        people.fields =
            ["dateOfBirth", "phone_number", "qty_ordered"].map(|name| field(name, FieldType::String)).into();
        let mut catalog = clinic(IntegrationKind::Postgres);
        catalog.objects.push(people);
        Index::build(Arc::new(catalog.finish()))
    }

    #[test]
    fn a_question_finds_the_column_of_the_table_it_names() {
        let index = small();
        assert_eq!(found(&index, "what is the phone of a patient?")[0], "patients.phone");
        assert_eq!(found(&index, "appointments status")[0], "appointments.status");
        assert_eq!(found(&index, "Patients")[0], "patients");
    }

    #[test]
    fn abbreviations_synonyms_beginnings_and_comments_are_understood() {
        let index = small();
        assert_eq!(found(&index, "customers")[0], "custAccounts");
        assert_eq!(found(&index, "dob")[0], "custAccounts.dateOfBirth");
        assert_eq!(found(&index, "quantity")[0], "custAccounts.qty_ordered");
        assert!(found(&index, "telephone").contains(&"custAccounts.phone_number".to_owned()));
        assert_eq!(found(&index, "appoint")[0], "appointments");
        assert_eq!(found(&index, "who buys")[0], "custAccounts");
    }

    #[test]
    fn nothing_is_found_for_words_that_occur_nowhere() {
        assert!(found(&small(), "zeppelin").is_empty());
        assert!(found(&small(), "").is_empty());
        assert!(small().query("patient", 0).is_empty());
    }

    #[test]
    fn a_blocked_name_is_never_found() {
        let blocked: Blocked =
            serde_json::from_value(serde_json::json!({ "blockedColumns": { "patients": ["ssn"] } })).unwrap();
        let catalog = clinic(IntegrationKind::Mysql);
        assert_eq!(found(&Index::build(Arc::new(catalog.clone())), "ssn"), ["patients.ssn"]);
        assert!(found(&Index::build(Arc::new(catalog.visible(&blocked))), "ssn").is_empty());
    }

    proptest! {
        #[test]
        fn any_question_is_answered_in_order_of_score(q in "\\PC{0,40}|[a-z ]{0,30}") {
            let hits = small().query(&q, 4);
            prop_assert!(hits.len() <= 4);
            prop_assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(hits.iter().all(|hit| hit.score > 0.0));
        }
    }
}
