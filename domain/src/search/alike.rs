//! Whether a word of a question means a word of a schema, and how much that says.

use super::lexicon::{self, Near};
use schemars::JsonSchema;
use serde::Serialize;

/// How a word of a question was found in a name or a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The word itself, in singular.
    Same,
    /// Another form of it, such as `registration` for `registered`.
    Form,
    /// Another word with the same meaning.
    Synonym,
    /// One is short for the other.
    Abbreviation,
    /// A longer word that begins with it.
    Beginning,
    /// A word that has to do with it.
    Related,
    /// A word that differs by a letter or two, when none fits better.
    Typo,
}

impl How {
    /// The word itself says all.
    pub const fn weight(self) -> f32 {
        match self {
            How::Same => 1.0,
            How::Form => 0.85,
            How::Synonym => 0.75,
            How::Abbreviation => 0.65,
            How::Beginning => 0.4,
            How::Related => 0.35,
            How::Typo => 0.5,
        }
    }
}

/// Shortest beginning of a word that counts.
const BEGINNING: usize = 3;
/// Letters that two forms of a word share at least.
const STEM: usize = 4;

/// How a word of a question, singular and in small letters, means one of a schema; typos apart.
pub fn alike(asked: &str, term: &str) -> Option<How> {
    if asked == term {
        return Some(How::Same);
    }
    let near = lexicon::nearness(asked, term);
    if near == Some(Near::Same) {
        return Some(How::Synonym);
    }
    match by_letters(asked, term) {
        Some(How::Beginning) | None if near == Some(Near::Related) => Some(How::Related),
        how => how,
    }
}

/// The same of two different words without the lexicon. Both begin with the same letter, or it is none.
pub fn by_letters(asked: &str, term: &str) -> Option<How> {
    if is_form(asked, term) {
        Some(How::Form)
    } else if is_short(term, asked) || is_short(asked, term) {
        Some(How::Abbreviation)
    } else {
        (asked.len() >= BEGINNING && term.starts_with(asked)).then_some(How::Beginning)
    }
}

/// The same, and a typo: to be asked only when nothing else fits.
pub fn typo(asked: &str, term: &str) -> bool {
    let allowed = match asked.len() {
        0..=3 => return false,
        4..=7 => 1,
        _ => 2,
    };
    asked.len().abs_diff(term.len()) <= allowed
        && term.len() > 3
        && asked.bytes().next() == term.bytes().next()
        && strsim::osa_distance(asked, term) <= allowed
}

/// Endings that turn a word into another form of it. Sorted by nothing: there are few.
const ENDINGS: &[&str] = &[
    "",
    "e",
    "ed",
    "d",
    "ing",
    "er",
    "or",
    "ion",
    "ation",
    "ition",
    "ment",
    "al",
    "ance",
    "ence",
    "ant",
    "ent",
    "ity",
    "ive",
    "able",
    "y",
    "ied",
    "ies",
    "ery",
    "ered",
    "ering",
    "eration",
    "ration",
    "ting",
    "ted",
    "tion",
    "sion",
    "se",
    "ding",
    "ning",
    "ned",
    "ling",
    "led",
    "ate",
    "ated",
    "ator",
    "ating",
    "ly",
    "ship",
    "ist",
    "ian",
    "t",
    "te",
    "re",
    "ure",
    "ical",
    "ic",
    "ify",
    "ification",
    "ified",
    "ize",
    "ized",
    "ization",
    "ise",
    "ised",
    "isation",
    "ssion",
    "ption",
    "be",
    "ping",
    "ped",
    "le",
];

/// Whether both are the same stem with endings of which English makes other forms of a word.
fn is_form(a: &str, b: &str) -> bool {
    let shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    if shared < STEM || !a.is_ascii() || !b.is_ascii() {
        return false;
    }
    let long_enough = shared * 2 >= a.len().max(b.len());
    // A stem may lose its last letters in one form: `delivery`, `deliver`.
    (STEM..=shared)
        .rev()
        .take(3)
        .any(|stem| long_enough && ENDINGS.contains(&&a[stem..]) && ENDINGS.contains(&&b[stem..]))
}

/// Whether one is the other's beginning (`cust`), or its consonants (`qty`).
fn is_short(short: &str, long: &str) -> bool {
    if short.len() < BEGINNING || short.len() + 2 > long.len() || !short.is_ascii() || !long.is_ascii() {
        return false;
    }
    if long.starts_with(short) {
        return (BEGINNING..=5).contains(&short.len()) && !lexicon::knows(short);
    }
    let consonants = short.bytes().skip(1).all(|byte| !b"aeiou".contains(&byte));
    let mut rest = long.bytes();
    consonants
        && short.len() <= 5
        && short.as_bytes()[0] == long.as_bytes()[0]
        && short.bytes().all(|byte| rest.any(|other| other == byte))
        && short.len() * 4 > long.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_abbreviations_synonyms_and_beginnings_are_told_apart() {
        let pairs = [
            ("patient", "patient", Some(How::Same)),
            ("registered", "registration", Some(How::Form)),
            ("assessed", "assessment", Some(How::Form)),
            ("prescribed", "prescribe", Some(How::Form)),
            ("customer", "client", Some(How::Synonym)),
            ("quantity", "qty", Some(How::Synonym)),
            ("segment", "sgmt", Some(How::Abbreviation)),
            ("customization", "cus", Some(How::Abbreviation)),
            ("quarterba", "quarterback", Some(How::Beginning)),
            ("capacity", "city", None),
            ("contact", "contract", None),
            ("loan", "location", None),
        ];
        for (asked, term, how) in pairs {
            assert_eq!(alike(asked, term), how, "{asked} {term}");
        }
    }

    #[test]
    fn a_typo_is_a_letter_or_two_and_never_the_first() {
        assert!(typo("patinet", "patient") && typo("apointmnet", "appointment"));
        assert!(!typo("cat", "car") && !typo("loan", "moan") && !typo("patient", "payment"));
    }
}
