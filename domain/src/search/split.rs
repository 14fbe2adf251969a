//! Names whose words stand together without a sign between them: `organisationunitid`, `custname`.

use super::lexicon;
use super::words::words;
use crate::catalog::Catalog;
use std::collections::{HashMap, HashSet};

/// Knows the parts of the compounds that occur in one catalog.
#[derive(Default)]
pub(super) struct Splitter {
    parts: HashMap<String, Vec<String>>,
}

/// Shortest part, but for the ones that names end with.
const PART: usize = 3;
const ENDINGS: [&str; 2] = ["id", "no"];
/// No name of an engine is longer; a comment may hold anything.
const LONGEST: usize = 64;

impl Splitter {
    /// Parts are words of the lexicon, or words that stand alone in another name of the catalog.
    pub fn of(catalog: &Catalog) -> Splitter {
        let mut distinct: HashMap<String, u32> = HashMap::new();
        for object in &catalog.objects {
            for name in std::iter::once(&object.name).chain(object.fields.iter().map(|field| &field.name)) {
                words(name, |word| *distinct.entry(word).or_default() += 1);
            }
        }
        // A word that occurs once may be a compound itself; one that occurs beside others often is a word.
        let common: HashSet<&str> =
            distinct.iter().filter(|(_, count)| **count > 1).map(|(word, _)| word.as_str()).collect();
        let prefix = prefix(catalog);
        let parts = distinct
            .keys()
            .filter_map(|word| Some((word.clone(), split(word, &common, prefix.as_deref())?)))
            .collect();
        Splitter { parts }
    }

    pub fn parts<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        let parts = self.parts.get(word).map(Vec::as_slice).unwrap_or_default();
        parts.iter().map(String::as_str).chain(parts.is_empty().then_some(word))
    }
}

/// What most tables begin with, as in `sbcustomer` and `sbticker`: the longest of two to four letters.
fn prefix(catalog: &Catalog) -> Option<String> {
    (2..=4).rev().find_map(|length| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for object in &catalog.objects {
            if let Some(start) =
                object.table.get(..length).filter(|start| start.chars().all(char::is_alphabetic))
            {
                *counts.entry(start.to_lowercase()).or_default() += 1;
            }
        }
        let (start, count) = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
        (count >= 3 && count * 10 > catalog.objects.len() * 6).then_some(start)
    })
}

/// The fewest known words that make up this one; `None` for a word of its own.
fn split(word: &str, common: &HashSet<&str>, prefix: Option<&str>) -> Option<Vec<String>> {
    if word.len() < PART + 2 || word.len() > LONGEST || !word.is_ascii() || lexicon::knows(word) {
        return None;
    }
    // For each position, the fewest parts that lead there, and where the last of them begins.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; word.len() + 1];
    best[0] = Some((0, 0));
    for end in 2..=word.len() {
        for start in (0..end - 1).filter(|start| end - start < word.len()) {
            let Some((count, _)) = best[start] else { continue };
            let part = &word[start..end];
            let ends = end == word.len() && start > 0 && ENDINGS.contains(&part);
            let known =
                part.len() >= PART && (lexicon::knows(part) || part.len() > PART && common.contains(part));
            let begins = start == 0 && prefix == Some(part);
            if (ends || begins || known) && best[end].is_none_or(|(other, _)| count + 1 < other) {
                best[end] = Some((count + 1, start));
            }
        }
    }
    let mut parts = Vec::new();
    let mut end = word.len();
    while end > 0 {
        let (_, start) = best[end]?;
        parts.push(super::singular(&word[start..end]));
        end = start;
    }
    parts.reverse();
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compounds_become_their_words_and_words_stay_whole() {
        let common = HashSet::from(["combo", "dataelement"]);
        let parts = |word: &str| split(word, &common, Some("sb")).map(|parts| parts.join(" "));
        assert_eq!(parts("organisationunitid").as_deref(), Some("organisation unit id"));
        assert_eq!(parts("categorycombo").as_deref(), Some("category combo"));
        assert_eq!(parts("sbcustomer").as_deref(), Some("sb customer"));
        assert_eq!(parts("custid").as_deref(), Some("cust id"));
        for word in ["candidate", "capacity", "hospital", "id", "größe", "xyzzy"] {
            assert_eq!(parts(word), None, "{word}");
        }
    }
}
