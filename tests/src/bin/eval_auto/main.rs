//! What the embedded drafter makes of goals whose answer is known, without any service.
//!
//! `eval_auto QUESTIONS SCHEMAS` takes QUESTIONS/lookups-tune.jsonl with its schemas, QUESTIONS/goals-fineract.json, and
//! the goals of tests/goals over SCHEMAS/{postgresql,mysql}/*.sql and the sample clinic, each loaded into an engine of
//! this process. `BINDERY_EVAL_MISSED=1` lists what went wrong, `BINDERY_EVAL_FEATURES=file` writes what the weights of
//! the ranking are fitted to.

mod questions;
mod real;
mod score;

use domain::search::Index;
use questions::Question;
use score::{HEAD, Score};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const OURS: &str = include_str!("../../../goals/real-schemas.json");

#[tokio::main]
async fn main() -> ExitCode {
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(schemas)) = (folders.next(), folders.next()) else {
        eprintln!("usage: eval_auto QUESTIONS SCHEMAS");
        return ExitCode::from(2);
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let lookups = read("lookups-tune.jsonl");
    let (plain, other) = (questions::lookups(&lookups, "goal"), questions::lookups(&lookups, "question_syn"));
    let spider = questions::spider(&read("lookups-schemas.json"), &plain);
    let mut indexes: BTreeMap<String, Index> =
        spider.into_iter().map(|(name, catalog)| (name, Index::build(Arc::new(catalog)))).collect();
    let (fineract, ours) = (questions::goals(&read("goals-fineract.json")), questions::goals(OURS));
    for question in fineract.iter().chain(&ours) {
        if indexes.contains_key(&question.database) {
            continue;
        }
        match real::catalog(&question.database, &schemas).await {
            Ok(catalog) => drop(indexes.insert(question.database.clone(), Index::build(Arc::new(catalog)))),
            Err(reason) => {
                eprintln!("eval_auto: {}: {reason}", question.database);
                return ExitCode::FAILURE;
            }
        }
    }
    // Weights and lexicon were tuned on one half of the databases, so the other half says what they are worth.
    let tuned = |question: &&Question| question.database.bytes().map(u32::from).sum::<u32>() % 2 == 0;
    let held = |question: &&Question| !tuned(question);
    let sets: [(&str, Vec<&Question>); 6] = [
        ("look-ups, tuned on", plain.iter().filter(tuned).collect()),
        ("look-ups, other words, tuned on", other.iter().filter(tuned).collect()),
        ("look-ups, held out", plain.iter().filter(held).collect()),
        ("look-ups, other words, held out", other.iter().filter(held).collect()),
        ("micro-banking", fineract.iter().collect()),
        ("real schemas", ours.iter().collect()),
    ];
    println!("{HEAD}");
    let (mut features, mut faults) = (String::new(), 0);
    for (name, questions) in sets {
        let mut score = Score::default();
        for question in questions {
            let Some(index) = indexes.get(&question.database) else { continue };
            score.add(index, question);
            for (object, values) in domain::drafting::features(index, &question.goal) {
                let right = u8::from(question.tables.iter().any(|table| table.eq_ignore_ascii_case(&object)));
                let _ = writeln!(
                    features,
                    "{name}\t{}\t{}\t{object}\t{right}\t{values:?}",
                    question.database, question.goal
                );
            }
        }
        println!("{}", score.line(name));
        faults += score.proposals - score.valid + score.unsafe_;
        if std::env::var_os("BINDERY_EVAL_MISSED").is_some() {
            score.missed.iter().for_each(|line| println!("    {line}"));
        }
    }
    if let Some(file) = std::env::var_os("BINDERY_EVAL_FEATURES")
        && let Err(error) = std::fs::write(&file, features)
    {
        eprintln!("eval_auto: {}: {error}", file.display());
    }
    if faults > 0 {
        eprintln!("eval_auto: {faults} proposals are invalid or unsafe");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
