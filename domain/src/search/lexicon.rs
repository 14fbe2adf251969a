//! Words and abbreviations that mean the same in databases, or have to do with each other.

use super::words::singular;
use std::collections::HashMap;
use std::sync::LazyLock;

/// How near two words are: a line's words before `|` mean the same, those after it are only related to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Near {
    Related,
    Same,
}

struct Lexicon {
    /// Of each word, the lines that hold it, and whether before the `|`.
    by_word: HashMap<String, Vec<(u16, Near)>>,
    lines: Vec<(Vec<String>, Vec<String>)>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon { by_word: HashMap::new(), lines: Vec::new() };
    for line in include_str!("lexicon.txt").lines().filter(|line| !line.starts_with('#')) {
        let (same, related) = line.split_once('|').unwrap_or((line, ""));
        let words = |part: &str| part.split_whitespace().map(singular).collect::<Vec<String>>();
        let (same, related) = (words(same), words(related));
        let at = lexicon.lines.len() as u16;
        for (part, near) in [(&same, Near::Same), (&related, Near::Related)] {
            for word in part {
                lexicon.by_word.entry(word.clone()).or_default().push((at, near));
            }
        }
        lexicon.lines.push((same, related));
    }
    lexicon
});

/// Other words that may be meant by this one.
pub fn near(word: &str) -> Vec<(&'static str, Near)> {
    let mut found: Vec<(&str, Near)> = Vec::new();
    for (at, place) in LEXICON.by_word.get(word).map(Vec::as_slice).unwrap_or_default() {
        let (same, related) = &LEXICON.lines[*at as usize];
        found.extend(same.iter().map(|other| (other.as_str(), *place)));
        if *place == Near::Same {
            found.extend(related.iter().map(|other| (other.as_str(), Near::Related)));
        }
    }
    found.retain(|(other, _)| *other != word);
    found.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    found.dedup_by(|later, first| later.0 == first.0);
    found
}

/// How near two words are, if the lexicon knows.
pub fn nearness(a: &str, b: &str) -> Option<Near> {
    let of = |word| LEXICON.by_word.get(word).map(Vec::as_slice).unwrap_or_default();
    let (a, b) = (of(a), of(b));
    let both = a.iter().flat_map(|(line, near)| {
        b.iter().filter(move |(other, _)| other == line).filter_map(move |(_, other)| match (near, other) {
            (Near::Same, Near::Same) => Some(Near::Same),
            (Near::Same, Near::Related) | (Near::Related, Near::Same) => Some(Near::Related),
            (Near::Related, Near::Related) => None,
        })
    });
    both.max()
}

/// Whether it is a word that databases use.
pub fn knows(word: &str) -> bool {
    LEXICON.by_word.contains_key(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abbreviation_means_all_words_that_it_stands_for() {
        for (short, long) in
            [("dob", "birthdate"), ("qty", "quantity"), ("amt", "amount"), ("appt", "appointment")]
        {
            assert!(near(short).contains(&(long, Near::Same)), "{short}");
            assert_eq!(nearness(long, short), Some(Near::Same), "{short}");
        }
        assert!(near("xylophone").is_empty());
    }

    #[test]
    fn what_is_related_is_less_than_the_same() {
        assert_eq!(nearness("customer", "client"), Some(Near::Same));
        assert_eq!(nearness("customer", "contact"), Some(Near::Related));
        assert_eq!(nearness("customer", "weather"), None);
    }

    #[test]
    fn every_line_is_in_small_letters_and_says_something() {
        for (same, related) in &LEXICON.lines {
            let words = same.iter().chain(related);
            assert!(words.clone().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())), "{same:?}");
        }
    }
}
