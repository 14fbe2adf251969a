//! What the drafter makes of goals with known answers.

use crate::questions::Question;
use domain::drafting::{self, Goal, Proposal};
use domain::search::Index;
use domain::statement;
use events::scoping::Blocked;
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Score {
    pub questions: usize,
    pub table_at_1: usize,
    pub table_at_3: usize,
    /// Of those with the right table first: the right operation and a key that is meant, and outputs found of all.
    pub keyed: usize,
    pub key_right: usize,
    pub outputs: usize,
    pub outputs_found: usize,
    pub operation_right: usize,
    pub refused: usize,
    pub proposals: usize,
    pub valid: usize,
    pub unsafe_: usize,
    pub took: Vec<Duration>,
    /// Goals whose table was not among the three.
    pub missed: Vec<String>,
}

impl Score {
    pub fn add(&mut self, index: &Index, question: &Question) {
        self.questions += 1;
        let write = question.operation != "read";
        let goal = Goal { text: &question.goal, allow_write: write };
        let began = Instant::now();
        let drafted = drafting::draft(index, &goal);
        self.took.push(began.elapsed());
        self.safety(index, &question.goal);
        let Ok(proposals) = drafted else {
            self.refused += 1;
            self.missed.push(format!(
                "{}: {} → refused, wanted {}",
                question.database, question.goal, question.tables[0]
            ));
            return;
        };
        for proposal in &proposals {
            self.proposals += 1;
            self.valid += usize::from(
                statement::compile(index.catalog(), &Blocked::default(), &proposal.request).is_ok(),
            );
        }
        let is_right = |proposal: &Proposal| {
            question.tables.iter().any(|table| table.eq_ignore_ascii_case(table_of(proposal)))
        };
        let first = &proposals[0];
        self.table_at_3 += usize::from(proposals.iter().any(is_right));
        if !is_right(first) {
            let tables: Vec<&str> = proposals.iter().map(table_of).collect();
            let rank = if proposals.iter().any(is_right) { "late" } else { "MISSED" };
            self.missed.push(format!(
                "{rank} {}: {} → {}, wanted {}",
                question.database,
                question.goal,
                tables.join(", "),
                question.tables[0]
            ));
            return;
        }
        self.table_at_1 += 1;
        self.operation_right +=
            usize::from(first.request.operation.ends_with(&format!(".{}", question.operation)));
        if !question.keys.is_empty() {
            self.keyed += 1;
            let key = first
                .request
                .key_column
                .as_deref()
                .or_else(|| first.request.inputs.first().map(|input| input.arg.as_str()));
            if question.keys.iter().any(|one| key.is_some_and(|key| key.eq_ignore_ascii_case(one))) {
                self.key_right += 1;
            } else {
                self.missed.push(format!(
                    "key {}: {} → {:?}, wanted {:?}",
                    question.database, question.goal, key, question.keys
                ));
            }
        }
        for output in question.outputs.iter().filter(|output| *output != "*") {
            self.outputs += 1;
            let answered =
                first.request.projection.iter().any(|leaf| leaf.path[1].eq_ignore_ascii_case(output));
            let found = if write {
                first.request.inputs.iter().any(|input| input.arg.eq_ignore_ascii_case(output))
            } else {
                answered
            };
            if found {
                self.outputs_found += 1;
            } else {
                self.missed
                    .push(format!("output {}: {} → wanted {output}", question.database, question.goal));
            }
        }
    }

    /// Whatever is wanted, nothing is written without leave, and nothing is read by a column without an index.
    fn safety(&mut self, index: &Index, text: &str) {
        let Ok(proposals) = drafting::draft(index, &Goal { text, allow_write: false }) else { return };
        let is_unsafe = |proposal: &Proposal| {
            !proposal.request.operation.ends_with(".read")
                || statement::compile(index.catalog(), &Blocked::default(), &proposal.request).is_err()
        };
        self.unsafe_ += proposals.iter().filter(|proposal| is_unsafe(proposal)).count();
    }

    pub fn line(&mut self, name: &str) -> String {
        let share = |part: usize, of: usize| {
            if of == 0 { "–".to_owned() } else { format!("{:.3}", part as f32 / of as f32) }
        };
        self.took.sort_unstable();
        let at = |part: usize| {
            self.took.get((self.took.len() * part / 100).min(self.took.len().saturating_sub(1)))
        };
        let ms = |took: Option<&Duration>| took.map_or(0.0, |took| took.as_secs_f64() * 1000.0);
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {:.1} |",
            self.questions,
            share(self.table_at_1, self.questions),
            share(self.table_at_3, self.questions),
            share(self.operation_right, self.table_at_1),
            share(self.key_right, self.keyed),
            share(self.outputs_found, self.outputs),
            share(self.valid, self.proposals),
            self.unsafe_,
            self.refused,
            ms(at(50)),
            ms(at(99)),
        )
    }
}

/// The operation's object, and for one that reads a caller's rows over a relationship, still that object.
fn table_of(proposal: &Proposal) -> &str {
    proposal.request.operation.rsplit_once('.').map_or("", |(table, _)| table)
}

pub const HEAD: &str = "| goals | n | table@1 | table@3 | operation | key | outputs | valid | unsafe | refused | p50 ms | p99 ms |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|---|";
