//! From a goal in a person's words to bindings that compile, without any service.
//!
//! `goal` reads the sentence, `rank` finds the objects it may be about, `columns` finds the columns, `read` (with
//! `projection`) and `write` make a request of one object, and nothing leaves here that [`statement::compile`] refuses.

mod columns;
mod goal;
mod label;
mod names;
mod projection;
mod rank;
mod read;
mod vocabulary;
mod write;

#[cfg(test)]
mod tests;

use crate::catalog::Catalog;
use crate::limits::{PROPOSALS, SHORTLIST};
use crate::search::Index;
use crate::statement::{self, Request};
use events::scoping::Blocked;
use events::skill::Action;
use goal::{Meaning, Wanted};
use rank::Ranked;

/// What the agent should do, as a person says it. The text is data: nothing in it can allow a write, reach what is
/// blocked, or make more than one skill.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'a> {
    pub text: &'a str,
    pub allow_write: bool,
}

/// An object that a goal may be about.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub object: String,
    /// From 0 to 1; comparable within one answer only.
    pub score: f32,
    pub reasons: Vec<String>,
}

/// One way to reach the goal. Its request compiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub tool_name: String,
    pub description: String,
    pub request: Request,
    /// From 0 to 1.
    pub confidence: f32,
    /// Sentences that say why it was chosen.
    pub rationale: Vec<String>,
}

/// That no table serves the goal.
#[derive(Clone, Debug, PartialEq)]
pub struct NoBinding {
    pub reason: Reason,
    /// Objects that come nearest, best first.
    pub nearest: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The goal holds no word that says something.
    Empty,
    /// No name or comment has enough to do with it.
    NothingFits,
    /// It asks for a change, and changes were not allowed.
    WriteNotAllowed,
    /// It asks to remove something.
    Removal,
    /// Tables fit, but none of them can be read by an index.
    NotReadable,
    /// Tables fit, but none of them can be written as asked.
    NotWritable,
}

impl Reason {
    pub fn sentence(self) -> &'static str {
        match self {
            Reason::Empty => {
                "The goal says nothing that could be looked for: name what to look up, add or change."
            }
            Reason::NothingFits => "No table or column of this schema has enough to do with the goal.",
            Reason::WriteNotAllowed => {
                "The goal asks for a change. Set `allowWrite` to true to have one proposed for review."
            }
            Reason::Removal => "Skills look rows up, add one or change one; none of them removes rows.",
            Reason::NotReadable => "The tables that fit have no index by which an agent may read them.",
            Reason::NotWritable => {
                "The tables that fit cannot be written as the goal asks: the connected user lacks the right, or no \
                 single unique column finds the row."
            }
        }
    }
}

/// The objects that the goal may be about, best first: all that an assistant is shown.
pub fn shortlist(index: &Index, goal: &Goal) -> Vec<Candidate> {
    let meaning = Meaning::read(goal.text);
    let mut ranked = rank::rank(index, &meaning);
    ranked.retain(|ranked| ranked.can(index.catalog(), meaning.wanted, goal.allow_write));
    ranked.truncate(SHORTLIST);
    let candidate = |ranked: &Ranked| Candidate {
        object: ranked.object(index.catalog()).name.clone(),
        score: ranked.score,
        reasons: ranked.reasons(index.catalog(), &meaning),
    };
    ranked.iter().map(candidate).collect()
}

/// At most [`PROPOSALS`] bindings, best first.
///
/// # Errors
/// Why there is none, with the objects that come nearest.
pub fn draft(index: &Index, goal: &Goal) -> Result<Vec<Proposal>, NoBinding> {
    let catalog = index.catalog();
    let meaning = Meaning::read(goal.text);
    let ranked = rank::rank(index, &meaning);
    let nearest: Vec<String> =
        ranked.iter().take(PROPOSALS).map(|ranked| ranked.object(catalog).name.clone()).collect();
    let refused = |reason| Err(NoBinding { reason, nearest: nearest.clone() });
    let action = match meaning.wanted {
        Wanted::Removal => return refused(Reason::Removal),
        Wanted::Insert | Wanted::Update if !goal.allow_write => return refused(Reason::WriteNotAllowed),
        Wanted::Read => Action::Read,
        Wanted::Insert => Action::Insert,
        Wanted::Update => Action::Update,
    };
    if meaning.words.is_empty() {
        return refused(Reason::Empty);
    }
    let fitting: Vec<&Ranked> = ranked.iter().filter(|ranked| ranked.fits()).collect();
    if fitting.is_empty() {
        return refused(Reason::NothingFits);
    }
    let mut proposals: Vec<Proposal> = Vec::new();
    for ranked in fitting.into_iter().take(SHORTLIST) {
        if proposals.len() == PROPOSALS {
            break;
        }
        let made = match action {
            Action::Read => read::propose(index, &meaning, ranked),
            Action::Insert => write::insert(index, &meaning, ranked),
            Action::Update => write::update(index, &meaning, ranked),
        };
        for proposal in made {
            if proposals.len() < PROPOSALS && compiles(catalog, &proposal.request) {
                proposals.push(proposal);
            }
        }
    }
    if proposals.is_empty() {
        return refused(if action == Action::Read { Reason::NotReadable } else { Reason::NotWritable });
    }
    Ok(proposals)
}

/// What the ranking knows of every object that a goal may be about: its weights are fitted to this.
pub fn features(index: &Index, text: &str) -> Vec<(String, [f32; rank::FEATURES])> {
    let ranked = rank::rank(index, &Meaning::read(text));
    ranked.into_iter().map(|ranked| (ranked.object(index.catalog()).name.clone(), ranked.features)).collect()
}

/// The catalog holds only what is visible, so nothing in it is blocked.
fn compiles(catalog: &Catalog, request: &Request) -> bool {
    statement::compile(catalog, &Blocked::default(), request).is_ok()
}
