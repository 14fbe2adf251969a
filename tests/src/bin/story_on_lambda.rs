//! Walks the story aloud through functions behind a gateway, on emulators that it starts, and against running engines;
//! looks at what it left in the tables; and, unless ONCE is set, goes on serving until Ctrl-C.
//!
//! Takes LISTEN and the variables that `scripts/engines.sh` writes; runs the program `lambda` beside itself. What the
//! functions write goes to standard error.

use events::{IntegrationKind, OrganizationId};
use infra::storage::EventLog;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::aws::Cloud;
use tests::built;
use tests::engines::Engine;
use tests::story::{Hands, Story, Teller, Told};
use tokio::net::TcpListener;

const ORGANIZATION: &str = "clinic";
/// How long views may be behind when doorbells ring.
const PROJECTED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8490".to_owned());
    let listener = match TcpListener::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("story_on_lambda: {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let program = built::program("lambda", "run: make run-lambda");
    let cloud = Cloud::deploy_on(&program, listener, &[], true).await;
    let _plumbing = cloud.wire().await;
    let http = cloud.http_as(ORGANIZATION).await.following();
    let mut last = None;
    for kind in IntegrationKind::ALL {
        let Some(engine) = Engine::running(kind) else { continue };
        println!("\n━━━ {kind} on Lambda ━━━");
        let story =
            Story { http: &http, engine: &engine, database: "clinic", teller: Teller { aloud: true } };
        last = last.or(Some(story.tell(&Hands::Tables(&cloud)).await));
    }
    let Some(told) = last else {
        eprintln!("story_on_lambda: no engine is running: POSTGRES_PORT and MYSQL_PORT are not set");
        return ExitCode::FAILURE;
    };
    if !look_at_the_tables(&cloud).await {
        return ExitCode::FAILURE;
    }
    show_what_to_try(&cloud.url, &http.key, &told);
    if std::env::var_os("ONCE").is_none_or(|once| once.is_empty()) {
        println!("Serving until Ctrl-C.");
        tokio::signal::ctrl_c().await.expect("the signal can be awaited");
    }
    ExitCode::SUCCESS
}

/// Whether the chain holds and the views are what a fold of the log gives.
async fn look_at_the_tables(cloud: &Cloud) -> bool {
    println!("\n── What stands in DynamoDB");
    let (store, organization) = (cloud.store().await, OrganizationId::from(ORGANIZATION));
    let verified = store.verify(&organization).await.expect("the log can be read");
    println!("   {} events, first bad: {:?}", verified.events, verified.first_bad.map(|seq| seq.0));
    let started = Instant::now();
    loop {
        let compared = store.compare_projections(&organization).await.expect("the log can be folded");
        if compared.equal || started.elapsed() > PROJECTED_WITHIN {
            let is = if compared.equal { "is" } else { "is NOT" };
            println!("   the views' {} documents: each {is} what the log folds to", compared.documents);
            return verified.first_bad.is_none() && compared.equal;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn show_what_to_try(url: &str, key: &str, told: &Told) {
    let Told { agent, skill, arguments } = told;
    let authorization = format!("-H 'Authorization: Bearer {key}'");
    println!("\nAddress  {url}\nKey      {key}\n");
    println!("curl -s '{url}/api/v1/integrations/postgres/search?q=next+visit' {authorization}");
    println!("curl -s '{url}/api/v1/agents/{agent}/prepublish-report' {authorization}");
    println!(
        "curl -s '{url}/api/v1/agents/{agent}/skills/{skill}/call' {authorization} -H 'Content-Type: application/json' -d '{{\"arguments\": {arguments}}}'\n"
    );
}
