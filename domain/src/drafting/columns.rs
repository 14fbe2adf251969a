//! How well the columns of an object answer to the words of a goal.

use super::goal::Word;
use crate::catalog::{Field, Object};
use crate::search::{Index, alike, words};
use std::collections::HashMap;

/// Remembers how near each word of a goal is to the words of names, which repeat in every table.
pub struct Matcher<'a> {
    index: &'a Index,
    words: &'a [Word],
    /// How much each word says in this schema.
    pub rarity: &'a [f32],
    memo: HashMap<String, Vec<f32>>,
}

/// A column's words against those of the goal.
pub struct Column {
    pub words: Vec<String>,
    /// For each word of the name, how near each word of the goal is.
    near: Vec<Vec<f32>>,
    /// The name's word also stands in the object's name: `customer_phone` of `customers`.
    of_object: Vec<bool>,
    comment: Vec<f32>,
}

/// Words that say what form a column has rather than what it holds.
const FORM: &[&str] = &[
    "id", "code", "no", "number", "num", "key", "nr", "cd", "is", "has", "text", "value", "the", "of", "fk",
    "pk",
];
const COMMENT: f32 = 0.45;

impl<'a> Matcher<'a> {
    pub fn new(index: &'a Index, words: &'a [Word], rarity: &'a [f32]) -> Self {
        Self { index, words, rarity, memo: HashMap::new() }
    }

    fn near(&mut self, term: &str) -> &Vec<f32> {
        let words = self.words;
        self.memo.entry(term.to_owned()).or_insert_with(|| {
            let near = |word: &Word| match word.initials {
                true => f32::from(word.text == term),
                false => alike(&word.text, term).map_or(0.0, |how| how.weight()),
            };
            words.iter().map(near).collect()
        })
    }

    /// For each word of a name, how near the goal's words are.
    pub fn name(&mut self, name: &str) -> (Vec<String>, Vec<Vec<f32>>) {
        let terms = self.index.name_words(name);
        let near = terms.iter().map(|term| self.near(term).clone()).collect();
        (terms, near)
    }

    pub fn column(&mut self, object_words: &[String], field: &Field) -> Column {
        let (words, near) = self.name(&field.name);
        let of_object = words.iter().map(|word| object_words.contains(word)).collect();
        let mut comment = vec![0f32; self.words.len()];
        if let Some(text) = &field.comment {
            let mut terms = Vec::new();
            super::columns::words(text, |word| terms.push(word));
            for term in terms.iter().take(40) {
                for (best, near) in comment.iter_mut().zip(self.near(term)) {
                    *best = best.max(near * COMMENT);
                }
            }
        }
        Column { words, near, of_object, comment }
    }

    pub fn columns(&mut self, object: &Object) -> Vec<Column> {
        let object_words = self.index.name_words(&object.name);
        object.fields.iter().map(|field| self.column(&object_words, field)).collect()
    }
}

impl Column {
    /// How near the goal's word is to the column.
    pub fn likeness(&self, word: usize) -> f32 {
        self.near.iter().map(|near| near[word]).fold(self.comment[word], f32::max)
    }

    /// The same, where what is only related counts little.
    pub fn clear(&self, word: usize) -> f32 {
        let near = self.likeness(word);
        if near < 0.5 { 0.3 * near } else { near }
    }

    /// How much of the column's name the given words of the goal say, from 0 to 1.
    pub fn said(&self, words: &[usize]) -> f32 {
        let (mut said, mut all) = (0.0, 0.0);
        for (at, near) in self.near.iter().enumerate() {
            let weight =
                if self.near.len() > 1 && FORM.contains(&self.words[at].as_str()) { 0.35 } else { 1.0 };
            let best = words.iter().map(|word| near[*word]).fold(0.0, f32::max);
            // What the object says already need not be said again, but it says nothing of this column.
            if self.of_object[at] && best < 0.8 && self.near.len() > 1 {
                all += weight * 0.3;
                continue;
            }
            said += weight * best;
            all += weight;
        }
        let comment = words.iter().map(|word| self.comment[*word]).fold(0.0, f32::max);
        (if all == 0.0 { 0.0 } else { said / all }).max(comment * 0.8)
    }

    /// How much of what the given words say is in the column, from 0 to 1.
    pub fn answers(&self, words: &[usize], rarity: &[f32]) -> f32 {
        let all: f32 = words.iter().map(|word| rarity[*word]).sum();
        let found: f32 = words.iter().map(|word| rarity[*word] * self.likeness(*word)).sum();
        if all == 0.0 { 0.0 } else { found / all }
    }

    /// Both: the column is what these words mean.
    pub fn fits(&self, words: &[usize], rarity: &[f32]) -> f32 {
        self.said(words) * (0.3 + 0.7 * self.answers(words, rarity))
    }
}
