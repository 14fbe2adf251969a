//! Reads a goal: what is to be done, about what, found by what, for whom.

use super::vocabulary::{
    ACTORS, ADD, BEFORE_VERB, BY, CARRIERS, CHANGE, DETERMINERS, EMPTY, LETTING, LOOK, NEWEST, NOUNS, ORDER,
    OWN, PARTING, REMOVE, SINGLE, SOONEST, VALUES,
};
use crate::limits::{GOAL_CHARS_READ, GOAL_WORDS};
use crate::search::{is_stop, singular, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Read,
    Insert,
    Update,
    Removal,
}

/// Where in the sentence a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Before the first `of`, `for`, `in`: what is asked for, or the thing itself.
    Head,
    /// After it: the thing, or what it belongs to.
    Tail,
    /// After `by`, `whose`, `named`, or beside a value: what rows are found by.
    Key,
    /// What rows are sorted by.
    Order,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Singular, in small letters.
    pub text: String,
    pub role: Role,
    /// Position in the sentence: words that follow each other make a phrase.
    pub at: usize,
    /// First letters of words that follow each other: `vm` for a virtual machine. Counts only where it occurs.
    pub initials: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    pub wanted: Wanted,
    /// The verb that says what is wanted, when it says how: `cancel`, `reschedule`.
    pub verb: Option<String>,
    /// Words that say something, each once.
    pub words: Vec<Word>,
    /// It is about the caller's own rows, and names nothing to find them by.
    pub own: bool,
    /// Who acts, when the goal says so.
    pub actor: Option<String>,
    /// The goal itself says what rows are found by.
    pub keyed: bool,
    /// A value stands where a name does: `customer <value>`, `named <value>`, `of <value>`.
    pub named: bool,
    /// A value stands where a place or a year does: `in <value>`.
    pub placed: bool,
    /// Newest first, or soonest first.
    pub order: Option<Order>,
    pub single: bool,
    /// Asks for everything about the thing.
    pub all: bool,
    /// `when`, `where`, `who`, `how much`: what kind of column answers.
    pub question: Option<Question>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Newest,
    Soonest,
    /// By a column that is named, descending or not.
    Named {
        descending: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    When,
    Where,
    Who,
    HowMuch,
}

/// A value that the goal stands a sign or an example for.
const SLOT: &str = "\u{1}";

impl Meaning {
    pub fn read(text: &str) -> Meaning {
        let tokens = tokens(text);
        let has = |set: &[&str]| tokens.iter().any(|token| set.contains(&token.as_str()));
        let (actor, start) = actor(&tokens);
        let verb = verb(&tokens, start);
        let (wanted, verb_at) = match verb {
            Some((at, wanted)) => (wanted, Some(at)),
            None => (Wanted::Read, None),
        };
        let from = verb_at.map_or(start, |at| at + usize::from(wanted != Wanted::Read));
        let roles = roles(&tokens, from, wanted == Wanted::Read);
        let mut words: Vec<Word> = Vec::new();
        for (at, token) in tokens.iter().enumerate().skip(start) {
            // `all female students`: the word is a value.
            let role = if VALUES.contains(&token.as_str()) { Role::Key } else { roles[at] };
            let silent = Some(at) == verb_at && wanted != Wanted::Read
                || token == SLOT
                || is_stop(token)
                || is_word_of_order(token, &tokens, at)
                || EMPTY.binary_search(&token.as_str()).is_ok();
            if silent || words.len() == GOAL_WORDS {
                continue;
            }
            match words.iter_mut().find(|word| word.text == *token) {
                // What rows are found by says more than where else it was said.
                Some(known) if role == Role::Key && known.role != Role::Key => known.role = role,
                Some(_) => {}
                None => words.push(Word { text: token.clone(), role, at, initials: false }),
            }
        }
        words.extend(initials(&words, &tokens));
        let keyed = words.iter().any(|word| word.role == Role::Key);
        let own = !keyed && has(OWN) && (actor.is_some() || has(&["my", "own", "mine", "i"]))
            || !keyed && actor.as_deref() == Some("caller");
        let verb = verb_at.map(|at| tokens[at].clone());
        Meaning {
            wanted,
            verb,
            own,
            actor,
            keyed,
            named: named(&tokens),
            placed: tokens
                .windows(2)
                .any(|pair| pair[1] == SLOT && ["in", "at", "from"].contains(&pair[0].as_str())),
            order: order(&tokens),
            single: has(SINGLE) || has(&["most"]) && has(&["recent", "recently"]),
            all: tokens.windows(2).any(|pair| {
                ["all", "full", "complete", "every"].contains(&pair[0].as_str())
                    && ["information", "detail", "info", "data", "column", "field"]
                        .contains(&pair[1].as_str())
            }) || tokens.iter().any(|token| token == "everything")
                || tokens.windows(3).any(|three| three[0] == "all" && three[2] == "information")
                || tokens.windows(4).any(|four| four[0] == "all" && four[3] == "information"),
            question: question(&tokens),
            words,
        }
    }

    pub fn with<'a>(&'a self, roles: &'a [Role]) -> impl Iterator<Item = (usize, &'a Word)> {
        self.words.iter().enumerate().filter(move |(_, word)| roles.contains(&word.role))
    }
}

/// Lower-case singular words in order, values as [`SLOT`].
fn tokens(text: &str) -> Vec<String> {
    let text: String = text.chars().take(GOAL_CHARS_READ).collect();
    let mut tokens = Vec::new();
    let mut ends_sentence = true;
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '<' => Some('>'),
            '"' => Some('"'),
            '“' => Some('”'),
            '{' => Some('}'),
            '[' => Some(']'),
            _ => None,
        };
        let inside = &rest[first.len_utf8()..];
        if let Some(end) = closing.and_then(|closing| inside.find(closing).map(|at| at + closing.len_utf8()))
            && end <= 80
        {
            tokens.push(SLOT.to_owned());
            rest = &inside[end..];
            continue;
        }
        let stops = |char: char| char.is_whitespace() || matches!(char, '<' | '"' | '“' | '{' | '[');
        let end = inside.find(stops).map_or(rest.len(), |at| at + first.len_utf8());
        let chunk = &rest[..end];
        rest = &rest[end..];
        let plain = chunk.trim_matches(|char: char| !char.is_alphanumeric());
        let plain = plain.strip_suffix("'s").or_else(|| plain.strip_suffix("’s")).unwrap_or(plain);
        if plain.is_empty() {
            continue;
        }
        if plain.chars().all(|char| char.is_ascii_digit() || ".,-/:".contains(char)) {
            tokens.push(SLOT.to_owned());
            continue;
        }
        // `named Ann Lee`: capitals inside a sentence are a value, and perhaps a name of the schema too.
        if plain.len() > 1 && plain.starts_with(char::is_uppercase) && !ends_sentence {
            tokens.push(SLOT.to_owned());
        }
        ends_sentence = chunk.ends_with(['.', '?', '!', ':']);
        if plain.len() <= 64 && plain.chars().all(char::is_alphabetic) {
            tokens.push(singular(&plain.to_lowercase()));
        } else {
            words(plain, |word| tokens.push(word));
        }
    }
    tokens
}

/// Who acts, and where the goal goes on: `let callers …`, `customers can …`, `a patient wants to …`.
fn actor(tokens: &[String]) -> (Option<String>, usize) {
    let at = tokens.iter().take(6).position(|token| !LETTING.contains(&token.as_str())).unwrap_or(0);
    let Some(token) = tokens.get(at).filter(|token| ACTORS.contains(&token.as_str())) else {
        return (None, 0);
    };
    let next = tokens.get(at + 1).map(String::as_str).unwrap_or_default();
    let acts =
        ["let", "allow", "help", "enable"].iter().any(|verb| tokens[..at].iter().any(|token| token == verb))
            || BEFORE_VERB.contains(&next)
            || CARRIERS.contains(&next.trim_end_matches('s'))
            || LOOK.contains(&next) && !NOUNS.contains(&next)
            || token == "caller"
            || ["who", "calling", "say", "asking"].contains(&next);
    if acts { (Some(token.clone()), at + 1) } else { (None, 0) }
}

/// The first verb that stands where a verb can, and what it wants.
fn verb(tokens: &[String], start: usize) -> Option<(usize, Wanted)> {
    for at in start..tokens.len() {
        let token = tokens[at].as_str();
        let verbal = at == start || BEFORE_VERB.contains(&tokens[at - 1].as_str());
        if !verbal {
            continue;
        }
        let carries =
            CARRIERS.contains(&token) && tokens.get(at + 1).is_some_and(|next| next == "to" || next == "for");
        if carries || BEFORE_VERB.contains(&token) {
            continue;
        }
        // At the very beginning `order status` is a thing, `order a pizza` is not.
        let determined = || tokens.get(at + 1).is_some_and(|next| DETERMINERS.contains(&next.as_str()));
        if at == 0 && NOUNS.contains(&token) && !determined() {
            continue;
        }
        let stem = token.strip_suffix("ing").unwrap_or(token);
        for (verbs, wanted) in
            [(LOOK, Wanted::Read), (REMOVE, Wanted::Removal), (CHANGE, Wanted::Update), (ADD, Wanted::Insert)]
        {
            if verbs.contains(&token)
                || stem.len() > 2 && verbs.iter().any(|verb| verb.trim_end_matches('e') == stem)
            {
                return Some((at, wanted));
            }
        }
    }
    None
}

fn roles(tokens: &[String], start: usize, read: bool) -> Vec<Role> {
    let mut roles = vec![Role::Head; tokens.len()];
    let mut role = Role::Head;
    let mut seen = false;
    for at in start..tokens.len() {
        let token = tokens[at].as_str();
        if ORDER.contains(&token) && tokens[at + 1..].iter().take(3).any(|next| next == "by" || next == "of")
        {
            role = Role::Order;
        } else if role == Role::Order {
            // An order stands at the end.
        } else if BY.contains(&token) && seen {
            role = Role::Key;
        } else if PARTING.contains(&token) && seen {
            role = Role::Tail;
        } else if token == "and"
            && role == Role::Key
            && tokens.get(at + 1).is_some_and(|next| LOOK.contains(&next.as_str()))
        {
            role = Role::Head;
        }
        // `assigned to`, `owned by`: how rows are found, more than what is asked for.
        let next = tokens.get(at + 1).map(String::as_str).unwrap_or_default();
        let participle =
            read && seen && token.len() > 4 && token.ends_with("ed") && ["to", "by", "with"].contains(&next);
        seen |= !is_stop(token) && EMPTY.binary_search(&token).is_err();
        roles[at] = if participle && role != Role::Order { Role::Key } else { role };
        // `with last name <value>`, `policy <value>`: the nearest words before a value find by it.
        if token == SLOT {
            for before in (start..at).rev().take(4) {
                let word = tokens[before].as_str();
                // `in the city of <value>` goes on, `founder of <value>` does not: a founder is asked for.
                let goes_on =
                    word == "of" && before + 1 == at && before > start && roles[before - 1] != Role::Head;
                if (PARTING.contains(&word) || BY.contains(&word)) && !goes_on {
                    break;
                }
                if roles[before] != Role::Order {
                    roles[before] = Role::Key;
                }
            }
        }
    }
    roles
}

/// `vm` for `virtual machine`, `dob` for `date of birth`.
fn initials(words: &[Word], tokens: &[String]) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for word in words {
        for length in [2, 3] {
            let Some(run) = tokens.get(word.at..word.at + length) else { continue };
            let letters: Option<String> =
                run.iter().map(|token| token.chars().next().filter(char::is_ascii_lowercase)).collect();
            let content = |token: &&String| words.iter().any(|word| word.text == **token);
            let Some(text) = letters.filter(|_| run.last().is_some_and(|last| content(&last))) else {
                continue;
            };
            if !is_stop(&text)
                && !words.iter().chain(&found).any(|other| other.text == text)
                && text != "id"
                && text != "no"
            {
                found.push(Word { text, role: word.role, at: word.at, initials: true });
            }
        }
    }
    found.truncate(GOAL_WORDS);
    found
}

/// Whether the goal calls a row by what may be its name.
fn named(tokens: &[String]) -> bool {
    let before = |at: usize| tokens[..at].iter().rev().find(|token| *token != SLOT).map(String::as_str);
    tokens.iter().enumerate().filter(|(_, token)| *token == SLOT).any(|(at, _)| {
        before(at).is_some_and(|word| {
            !["in", "on", "at", "all", "every", "than", "to", "from", "the", "with", "are"].contains(&word)
        })
    }) || tokens.windows(3).any(|three| three[0] == "the" && three[1] == SLOT && three[2] != SLOT)
        || tokens.iter().any(|token| token == "named" || token == "called")
}

fn is_word_of_order(token: &str, tokens: &[String], at: usize) -> bool {
    if ORDER.contains(&token) {
        return tokens[at + 1..].iter().take(3).any(|next| next == "by" || next == "of");
    }
    if token == "last" || token == "first" {
        return tokens.get(at + 1).is_none_or(|next| next != "name" && next != "names" && next != "and");
    }
    ["descending", "ascending", "alphabetical", "desc", "asc"].contains(&token)
        || (NEWEST.contains(&token) || SOONEST.contains(&token)) && token != "future"
}

fn order(tokens: &[String]) -> Option<Order> {
    let has = |set: &[&str]| {
        tokens
            .iter()
            .enumerate()
            .any(|(at, token)| set.contains(&token.as_str()) && is_word_of_order(token, tokens, at))
    };
    if has(ORDER) {
        let descending = tokens.iter().any(|token| token == "descending" || token == "desc");
        return Some(Order::Named { descending });
    }
    if has(SOONEST) {
        return Some(Order::Soonest);
    }
    has(NEWEST).then_some(Order::Newest)
}

fn question(tokens: &[String]) -> Option<Question> {
    tokens.iter().enumerate().find_map(|(at, token)| match token.as_str() {
        "when" => Some(Question::When),
        "where" => Some(Question::Where),
        "who" => Some(Question::Who),
        "how" if tokens.get(at + 1).is_some_and(|next| next == "much" || next == "many") => {
            Some(Question::HowMuch)
        }
        _ => None,
    })
}

#[cfg(test)]
#[path = "goal_tests.rs"]
mod tests;
