//! From a word of a question to the words of the schema that it may mean.

use super::alike::{How, by_letters, typo};
use super::lexicon::{self, Near};
use super::{Index, Posting};

impl Index {
    /// Positions of terms, each with how it is meant; typos only when nothing else is found.
    pub(super) fn expand(&self, word: &str) -> Vec<(usize, How)> {
        let mut found: Vec<(usize, How)> = Vec::new();
        let mut add = |term: &str, how: How| {
            if let Ok(at) = self.terms.binary_search_by(|(other, _)| other.as_ref().cmp(term)) {
                found.push((at, how));
            }
        };
        add(word, How::Same);
        for (other, near) in lexicon::near(word) {
            add(other, if near == Near::Same { How::Synonym } else { How::Related });
        }
        let alike = self.initial(word);
        found.extend(
            alike
                .clone()
                .filter(|(_, (term, _))| **term != *word)
                .filter_map(|(at, (term, _))| by_letters(word, term).map(|how| (at, how))),
        );
        if found.is_empty() {
            found.extend(alike.filter(|(_, (term, _))| typo(word, term)).map(|(at, _)| (at, How::Typo)));
        }
        // What fits in more than one way fits in the best.
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.weight().total_cmp(&a.1.weight())));
        found.dedup_by_key(|(at, _)| *at);
        found
    }

    /// Terms with the same first letter.
    fn initial(&self, word: &str) -> impl Iterator<Item = (usize, &(Box<str>, Vec<Posting>))> + Clone {
        let first = word.chars().next();
        let start = self.terms.partition_point(|(term, _)| term.chars().next() < first);
        let end = self.terms.partition_point(|(term, _)| term.chars().next() <= first);
        (start..end).map(|at| (at, &self.terms[at]))
    }
}
