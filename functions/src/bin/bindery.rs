//! All endpoints on one port, on SQLite and a key file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use events::OrganizationId;
use functions::config::{Config, STANDARD_VARIABLES, VARIABLES};
use functions::history::checkpoint::Checkpoint;
use functions::history::export::{self, Checked, Known};
use functions::keys::first::{self, FirstKey};
use functions::services::Services;
use functions::start::embedded::Embedded;
use functions::start::serve::serve;
use infra::storage::EventLog;
use infra::storage::sqlite::SqliteStore;
use jiff::Timestamp;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Of this program alone: functions start anew too often to gain by it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Lets an AI agent on a live call look up and change records in a customer's own PostgreSQL, MySQL or MariaDB,
/// with nothing running that the customer did not author and approve.
///
/// Start with `bindery serve`, mint a key with `bindery keys mint`, and read /openapi.json on the server.
#[derive(Parser)]
#[command(version, after_long_help = environment_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves every endpoint on one port until it gets SIGTERM or Ctrl-C; running requests finish first
    Serve {
        /// Where the log (bindery.db) and the master key (bindery.key) live; made when missing
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Address and port, 0 for any free one; put a TLS proxy in front of anything but loopback
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8480")]
        listen: SocketAddr,
        /// Address and port for GET /metrics, which asks for no key; without it there is none
        #[arg(long, value_name = "ADDR")]
        metrics_listen: Option<SocketAddr>,
    },
    /// API keys
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// The history: what was true, what changed, and whether the log holds
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// What is derived from the log
    Projections {
        #[command(subcommand)]
        command: ProjectionsCommand,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Mints a key and prints it alone on stdout; a running server knows it within a second
    Mint {
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// What the key is for
        #[arg(long)]
        name: String,
        /// Comma list of scopes, or all
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// Made by its first key
        #[arg(long, default_value = "default")]
        organization: String,
        /// RFC 3339, such as 2027-01-01T00:00:00Z; without it the key does not expire
        #[arg(long, value_name = "INSTANT")]
        expires_at: Option<Timestamp>,
    },
}

#[derive(Subcommand)]
enum ProjectionsCommand {
    /// Throws the projections away, folds the log again, and says whether the bytes are the same; a server may go on
    /// beside it
    Rebuild {
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Computes the hash chain again from the bytes as stored, and names the first event that does not fit
    ///
    /// Whoever can write the file can also compute the chain anew. So have a checkpoint kept elsewhere, and give it.
    Verify {
        #[command(flatten)]
        of: Of,
        /// A checkpoint that was kept, the answer of GET /audit/checkpoint: the log must extend it
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// What an organization's agents could see and run at a point of its history, and what led to it
    Replay {
        #[command(flatten)]
        of: Of,
        /// An instant in RFC 3339, such as 2026-03-03T14:03:00Z, or a sequence number
        #[arg(long, value_name = "POINT")]
        at: String,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// What is otherwise between two points of its history, who changed it and when
    Diff {
        #[command(flatten)]
        of: Of,
        /// An instant in RFC 3339, or a sequence number
        #[arg(long, value_name = "POINT")]
        from: String,
        /// The same; now when absent
        #[arg(long, value_name = "POINT")]
        to: Option<String>,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Writes the whole log to stdout as JSON Lines, with all that is needed to verify it elsewhere
    Export {
        #[command(flatten)]
        of: Of,
    },
    /// Verifies an export anywhere, without a data folder or a key file
    ///
    /// An export names the key that signed it, and nothing in it can say whose key that is. So give one that you know, or
    /// a checkpoint that was kept.
    Import {
        /// Only verifies; there is no other import, for a log is nobody's to put together
        #[arg(long, required = true)]
        verify_only: bool,
        /// The service's public key, as GET /audit/checkpoint tells it: it must have signed the export
        #[arg(long, value_name = "BASE64")]
        public_key: Option<String>,
        /// A checkpoint that was kept, the answer of GET /audit/checkpoint: the export must extend it
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The export; stdin when absent
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Of {
    /// The data folder; a server may be using it meanwhile
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Whose history
    #[arg(long, value_name = "NAME", default_value = "default")]
    organization: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn environment_help() -> String {
    let mut help = String::from("Environment:\n");
    for variable in VARIABLES.iter().chain(STANDARD_VARIABLES) {
        let default = if variable.default.is_empty() { "empty" } else { variable.default };
        help.push_str(&format!("  {}\n      {} [default: {default}]\n", variable.name, variable.meaning));
    }
    help
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("the operating system gives threads");
    match runtime.block_on(run(Cli::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bindery: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Command::Serve { data_dir, listen, metrics_listen } => serve(&data_dir, listen, metrics_listen).await,
        Command::Keys { command: KeysCommand::Mint { data_dir, name, scopes, organization, expires_at } } => {
            mint(data_dir, name, scopes, organization, expires_at).await
        }
        Command::Audit { command } => audit(command).await,
        Command::Projections { command: ProjectionsCommand::Rebuild { data_dir } } => rebuild(data_dir).await,
    }
}

async fn mint(
    data_dir: PathBuf,
    name: String,
    scopes: Vec<String>,
    organization: String,
    expires_at: Option<Timestamp>,
) -> Result<(), String> {
    let asked = FirstKey { organization, name, scopes, expires_at };
    // Before a data folder is made for nothing.
    first::check(&asked).map_err(|problem| first::lines(&problem))?;
    let embedded = Embedded::open(&data_dir).await?;
    let (store, peppers) = (embedded.store.as_ref(), embedded.peppers.as_ref());
    let minted = first::mint(store, store, peppers, "cli", asked).await;
    let (_, text) = minted.map_err(|problem| first::lines(&problem))?;
    println!("{}", text.expose());
    Ok(())
}

async fn audit(command: AuditCommand) -> Result<(), String> {
    match command {
        AuditCommand::Verify { of, checkpoint } => {
            let kept = checkpoint.map(|file| read_checkpoint(&file)).transpose()?;
            let (services, organization) = history(&of).await?;
            println!("{}", services.audit_verify(&organization, kept.as_ref()).await?);
        }
        AuditCommand::Replay { of, at, format } => {
            let (services, organization) = history(&of).await?;
            let replayed = services.audit_replay(&organization, &at).await?;
            match format {
                Format::Text => print!("{}", replayed.text()),
                Format::Json => println!("{}", replayed.json()),
            }
        }
        AuditCommand::Diff { of, from, to, format } => {
            let (services, organization) = history(&of).await?;
            let diff = services.audit_diff(&organization, &from, to.as_deref()).await?;
            match format {
                Format::Text => print!("{}", diff.text()),
                Format::Json => println!("{}", diff.json()),
            }
        }
        AuditCommand::Export { of } => {
            let (services, organization) = history(&of).await?;
            let events = services.export(&organization, &mut BufWriter::new(std::io::stdout())).await?;
            eprintln!("{organization}: {events} events exported");
        }
        AuditCommand::Import { verify_only: _, public_key, checkpoint, file } => {
            let checkpoint = checkpoint.map(|file| read_checkpoint(&file)).transpose()?;
            let known = Known { public_key, checkpoint };
            let checked = match file {
                Some(file) => export::verify(BufReader::new(open(&file)?), &known)?,
                None => export::verify(std::io::stdin().lock(), &known)?,
            };
            println!("{}", imported(&checked, &known));
        }
    }
    Ok(())
}

fn imported(checked: &Checked, known: &Known) -> String {
    let Checked { organization, events, public_key } = checked;
    let mut said = format!("{organization}: {events} events hold, signed by the key {public_key}");
    match known {
        Known { checkpoint: Some(kept), .. } => {
            said.push_str(&format!("\nthey extend the checkpoint at event {}", kept.seq));
        }
        Known { public_key: Some(_), .. } => {}
        Known { .. } => said.push_str(
            "\nwhose key that is the file cannot say: compare it with the publicKey of GET /audit/checkpoint, or give \
             --public-key or --checkpoint",
        ),
    }
    said
}

/// The services on a data folder that a server may be using at the same time.
async fn history(of: &Of) -> Result<(Arc<Services>, OrganizationId), String> {
    // A question makes no folder.
    if !SqliteStore::is_in(&of.data_dir) {
        let folder = of.data_dir.display();
        return Err(format!(
            "--data-dir: there is no log in {folder}; give the folder that bindery serve has"
        ));
    }
    let embedded = Embedded::open(&of.data_dir).await?;
    let organization = OrganizationId::from(of.organization.clone());
    let known = embedded.store.organizations().await.map_err(|error| error.to_string())?;
    if !known.contains(&organization) {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        return Err(format!("--organization: {organization} has no log here; there are: {known}"));
    }
    let config = Config::from_environment("http://127.0.0.1").map_err(|wrong| wrong.join("\n"))?;
    Ok((embedded.read_only(config), organization))
}

fn open(file: &Path) -> Result<File, String> {
    File::open(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The whole answer of `GET /audit/checkpoint`, or its data alone.
fn read_checkpoint(file: &Path) -> Result<Checkpoint, String> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Answer { data: Checkpoint },
        Data(Checkpoint),
    }
    let kept = serde_json::from_reader(BufReader::new(open(file)?));
    let none =
        |_| format!("{} holds no checkpoint, which is what GET /audit/checkpoint answers", file.display());
    match kept.map_err(none)? {
        Kept::Answer { data } | Kept::Data(data) => Ok(data),
    }
}

async fn rebuild(data_dir: PathBuf) -> Result<(), String> {
    let embedded = Embedded::open(&data_dir).await?;
    for organization in embedded.store.organizations().await.map_err(|error| error.to_string())? {
        let compared =
            embedded.store.rebuild_projections(&organization).await.map_err(|error| error.to_string())?;
        let verdict =
            if compared.equal { "the same bytes as before" } else { "different from before; replaced" };
        println!("{organization}: {} documents at {}, {verdict}", compared.documents, compared.head);
    }
    Ok(())
}
