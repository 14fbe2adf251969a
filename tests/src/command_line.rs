//! The real `bindery`, as a person or a supervisor runs it.

mod audit;
mod delivering;
mod listening;
pub mod program;

use crate::http::Http;
use functions::config::{STANDARD_VARIABLES, VARIABLES};
use functions::endpoint::Scope;
use program::{Server, bindery, mint, said};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_printed_alone_and_a_running_server_knows_it_soon() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let minted = mint(folder.path(), &["--scopes", "agents:read"]);
    // A second later at most, and more on a machine that stands still for a while.
    let give_up = Instant::now() + Duration::from_secs(10);
    let printed = String::from_utf8(minted.stdout).unwrap();
    let key = printed.trim_end();
    assert_eq!(printed, format!("{key}\n"), "one line, and nothing else");
    assert!(key.starts_with("flowyte_sk_live_") && !key.contains(char::is_whitespace), "{key}");
    let http = Http::new(&server.url, key);
    while http.get("/agents").await.status != 200 {
        assert!(Instant::now() < give_up, "the server does not know the key");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        http.post("/agents", json!({ "name": "x" })).await.status,
        403,
        "it has the scopes it was given"
    );
    // Another organization comes into being by its first key.
    let other = mint(folder.path(), &["--scopes", "all", "--organization", "other"]);
    assert!(other.status.success(), "{}", said(&other));
}

/// What is misspelt there is a line on stderr, and otherwise ignored.
#[test]
fn the_allocator_is_set_as_the_build_has_it() {
    let output = bindery().arg("--version").env("_RJEM_MALLOC_CONF", "confirm_conf:true").output().unwrap();
    let told = said(&output);
    let settings = include_str!("../../.cargo/config.toml").split_once("MALLOC_CONF = \"").unwrap().1;
    for setting in settings.trim_end().trim_end_matches('"').split(',') {
        assert!(told.contains(&format!("Set conf value: {setting}\n")), "{setting}: {told}");
    }
    assert!(!told.contains("Invalid"), "{told}");
}

/// A make that is started by cargo finds our flags before cargo's, and from 4.4 on takes what stands behind a variable
/// for a target: `make run ONCE=1` could not build.
#[test]
fn make_keeps_the_variables_it_was_given_to_itself() {
    let shown = Command::new("make")
        .args(["--no-print-directory", "--eval", r#"shown:; @echo "$$MAKEFLAGS once: $$ONCE""#])
        .args(["shown", "ONCE=1"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env_remove("MAKEFLAGS")
        .output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(shown.ends_with(" once: 1\n") && !shown.contains(" -- ONCE=1"), "{shown}");
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let second =
        bindery().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).output();
    let second = second.unwrap();
    assert!(!second.status.success());
    let sentence = said(&second);
    assert!(sentence.contains("another bindery is serving") && sentence.contains("data folder of its own"));
    drop(server);
    drop(Server::start(folder.path()));
}

#[test]
fn a_master_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(Server::start(folder.path()));
    let key = folder.path().join("bindery.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mend = format!("chmod 600 {}", key.display());
    let refused = bindery().args(["serve", "--data-dir"]).arg(folder.path()).output().unwrap();
    for refused in [refused, mint(folder.path(), &["--scopes", "all"])] {
        assert!(!refused.status.success());
        assert!(refused.stdout.is_empty(), "no key is printed");
        assert!(said(&refused).contains(&mend), "{}", said(&refused));
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(Server::start(folder.path()));
}

#[test]
fn a_taken_port_and_a_wrong_variable_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let serve = || {
        let mut command = bindery();
        command.args(["serve", "--listen", &listen, "--data-dir"]).arg(folder.path());
        command
    };
    let refused = serve().output().unwrap();
    assert!(!refused.status.success());
    assert!(said(&refused).contains(&format!("cannot listen on {listen}")), "{}", said(&refused));
    assert!(said(&refused).contains("--listen"), "{}", said(&refused));

    let mut wrong = serve();
    wrong.env("BINDERY_ALLOW_PRIVATE_HOSTS", "everything").env("BINDERY_RATE_PER_KEY", "-1");
    let refused = wrong.output().unwrap();
    assert!(!refused.status.success());
    for name in ["BINDERY_ALLOW_PRIVATE_HOSTS", "BINDERY_RATE_PER_KEY"] {
        assert!(said(&refused).contains(name), "both at once: {}", said(&refused));
    }
}

#[test]
fn an_unknown_scope_is_answered_with_all_scopes_and_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let refused = mint(folder.path(), &["--scopes", "agents:read,skills:cal"]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let sentence = said(&refused);
    for scope in Scope::ALL {
        assert!(sentence.contains(scope.as_str()), "{} in: {sentence}", scope.as_str());
    }
    assert!(sentence.contains("did you mean skills:call"), "{sentence}");
    assert!(!folder.path().join("bindery.db").exists(), "a wrong command makes nothing");
}

#[test]
fn the_help_tells_every_variable_and_its_default() {
    let help = bindery().arg("--help").output().unwrap();
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for variable in VARIABLES.iter().chain(STANDARD_VARIABLES) {
        assert!(text.contains(variable.name), "{}", variable.name);
        assert!(text.contains(variable.meaning), "{}", variable.name);
        assert!(text.contains(variable.default), "{}", variable.name);
    }
}

/// An answer's head, and its body by the length that the head announces.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own server, on loopback")]
fn a_terminated_server_finishes_what_it_began_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let key = String::from_utf8(mint(folder.path(), &["--scopes", "all"]).stdout).unwrap();
    let address = (Ipv4Addr::LOCALHOST, server.port());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let body = r#"{"name":"Front desk"}"#;
    let head = format!(
        "POST /api/v1/agents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        key.trim_end(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: the request runs.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut asked = vec![0; go_on.len()];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(asked, go_on);

    server.terminate();
    server.wait_until_it_says("finishing running requests");
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "a server that ends takes no new connections");
        std::thread::sleep(Duration::from_millis(20));
    }
    stream.write_all(body.as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert!(answer.contains("Front desk"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

/// Creates agents until the server is gone. Those that were acknowledged.
async fn create_until_it_dies(http: Http, first: Arc<AtomicBool>, created: Arc<Mutex<Vec<String>>>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        let request = client.post(format!("{}/api/v1/agents", http.url)).bearer_auth(&http.key);
        let Ok(response) = request.json(&json!({ "name": "burst" })).send().await else { return };
        let status = response.status();
        let Ok(body) = response.json::<serde_json::Value>().await else { return };
        assert_eq!(status, 201, "{body}");
        created.lock().unwrap().push(body["data"]["id"].as_str().unwrap().to_owned());
        first.store(true, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_a_burst_of_changes_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let key = String::from_utf8(mint(folder.path(), &["--scopes", "all"]).stdout).unwrap();
    let created = Arc::new(Mutex::new(Vec::new()));
    for round in 0..10u64 {
        let mut server = Server::start(folder.path());
        let http = Http::new(&server.url, key.trim_end());
        let first = Arc::new(AtomicBool::new(false));
        let bursts: Vec<_> = (0..4)
            .map(|_| tokio::spawn(create_until_it_dies(http.clone(), first.clone(), created.clone())))
            .collect();
        while !first.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // At another moment of the burst in each round.
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        server.kill();
        for burst in bursts {
            burst.await.expect("each answer was a success");
        }
    }
    let server = Server::start(folder.path());
    let http = Http::new(&server.url, key.trim_end());
    let created = created.lock().unwrap().clone();
    assert!(created.len() >= 10, "{}", created.len());
    for id in &created {
        assert_eq!(http.get(&format!("/agents/{id}")).await.status, 200, "{id} was acknowledged");
    }
    // Beside the server.
    let rebuilt =
        bindery().args(["projections", "rebuild", "--data-dir"]).arg(folder.path()).output().unwrap();
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    let verdict = String::from_utf8(rebuilt.stdout).unwrap();
    assert!(verdict.starts_with("default: ") && verdict.contains("the same bytes as before"), "{verdict}");
    drop(server);
}
