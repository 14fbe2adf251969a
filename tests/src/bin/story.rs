//! Walks the story against a running server and running engines, aloud. `--setup` only makes a published read and
//! prints where it is, for the benchmarks.
//!
//! Takes BINDERY_URL, BINDERY_KEY and the variables that `scripts/engines.sh` writes, and for the story the server's
//! BINDERY_DATA_DIR; with STORY_RESULT set, what is left to try goes to that file.

use events::IntegrationKind;
use std::path::Path;
use std::process::ExitCode;
use tests::engines::Engine;
use tests::http::Http;
use tests::story::{Hands, Story, Teller, Told};

#[tokio::main]
async fn main() -> ExitCode {
    let setup = std::env::args().any(|argument| argument == "--setup");
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let http = Http::new(&variable("BINDERY_URL"), &variable("BINDERY_KEY")).following();
    let mut last = None;
    for kind in IntegrationKind::ALL {
        let Some(engine) = Engine::running(kind) else { continue };
        let story =
            Story { http: &http, engine: &engine, database: "clinic", teller: Teller { aloud: !setup } };
        if !setup {
            println!("\n━━━ {kind} ━━━");
            let folder = variable("BINDERY_DATA_DIR");
            last = last.or(Some(story.tell(&Hands::Folder(Path::new(&folder))).await));
        } else if kind == IntegrationKind::Postgres {
            last = Some(story.set_up().await);
        }
    }
    let Some(told) = last else {
        eprintln!("story: no engine is running: POSTGRES_PORT and MYSQL_PORT are not set");
        return ExitCode::FAILURE;
    };
    let result = result(&told);
    match std::env::var("STORY_RESULT") {
        Ok(file) => std::fs::write(&file, result).unwrap_or_else(|error| panic!("{file}: {error}")),
        Err(_) => print!("{result}"),
    }
    ExitCode::SUCCESS
}

fn result(told: &Told) -> String {
    format!("AGENT={}\nSKILL={}\nARGUMENTS={}\n", told.agent, told.skill, told.arguments)
}
