//! `bindery audit`, beside a server and without one.

use super::program::{Server, bindery, mint, said};
use crate::http::Http;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

fn audit(folder: &Path, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().expect("a command");
    bindery().args(["audit", command, "--data-dir"]).arg(folder).args(rest).output().expect("it runs")
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    said(output)
}

/// In an empty folder: nothing but the export and what is said.
fn import(export: &[u8], arguments: &[&str]) -> Output {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut command = bindery();
    command.current_dir(elsewhere.path()).args(["audit", "import", "--verify-only"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    // It stops reading where it finds something wrong.
    let _ = child.stdin.take().expect("it is piped").write_all(export);
    child.wait_with_output().expect("it ends")
}

async fn served(folder: &Path, agents: usize) -> (Server, Http) {
    // Before the server starts, which sees others' commits within a second only.
    let key = ok(&mint(folder, &["--scopes", "all"]));
    let server = Server::start(folder);
    let http = Http::new(&server.url, key.trim_end());
    for at in 0..agents {
        http.post("/agents", json!({ "name": format!("agent {at}") })).await.data();
    }
    (server, http)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_verified_replayed_and_exported_beside_the_server_that_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, http) = served(folder.path(), 4).await;
    let head = http.get("/audit/verify").await.data()["headHash"].clone();
    let verified = ok(&audit(folder.path(), &["verify"]));
    assert_eq!(verified, format!("default: 5 events hold, head {}\n", head.as_str().expect("a hash")));

    let text = ok(&audit(folder.path(), &["replay", "--at", "3"]));
    assert!(text.starts_with("After event 3, at 2"), "{text}");
    assert!(text.contains("agent \"agent 1\"") && !text.contains("agent 2"), "{text}");
    assert!(text.contains("3 2") && text.contains("created the agent \"agent 1\""), "{text}");
    let replayed = ok(&audit(folder.path(), &["replay", "--at", "3", "--format", "json"]));
    let replayed: Value = serde_json::from_str(&replayed).expect("JSON");
    assert_eq!(replayed, *http.get("/audit/state?at=3").await.data());

    let from = ["diff", "--from", "2", "--to", "4"];
    let text = ok(&audit(folder.path(), &from));
    assert!(
        text.starts_with("From event 2 to event 4\nWhat is otherwise:\n  the agent \"agent 1\" ("),
        "{text}"
    );
    let last = text.lines().last().expect("a line");
    assert!(last.starts_with("  4 2") && last.contains("\"test\" created the agent \"agent 2\" ("), "{text}");
    let json = ok(&audit(folder.path(), &[&from[..], &["--format", "json"]].concat()));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json, *http.get("/audit/diff?from=2&to=4").await.data());

    for (arguments, sentence) in [
        (["replay", "--at", "6"], "ends at 5"),
        (["replay", "--at", "soon"], "must be a sequence number or an instant"),
        (["diff", "--from", "soon"], "--from: must be a sequence number or an instant"),
        (["verify", "--organization", "nobody"], "there are: default"),
        (["verify", "--checkpoint", "/nowhere"], "/nowhere"),
    ] {
        let said = refused(&audit(folder.path(), &arguments));
        assert!(said.contains(sentence), "{said}");
    }
    let nowhere = folder.path().join("nowhere");
    assert!(refused(&audit(&nowhere, &["verify"])).contains("there is no log in"));
    assert!(!nowhere.exists(), "a question makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_elsewhere_and_every_change_to_it_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, http) = served(folder.path(), 300).await;
    let key = http.get("/audit/checkpoint").await.data()["publicKey"].as_str().expect("a key").to_owned();
    drop(server);
    let export = ok(&audit(folder.path(), &["export"]));
    let lines: Vec<&str> = export.lines().collect();
    assert_eq!(lines.len(), 1 + 301 + 1);
    let said = ok(&import(export.as_bytes(), &[]));
    assert!(said.starts_with(&format!("default: 301 events hold, signed by the key {key}\n")), "{said}");
    assert!(said.contains("whose key that is the file cannot say"), "{said}");
    let known = ok(&import(export.as_bytes(), &["--public-key", &key]));
    assert_eq!(known, format!("default: 301 events hold, signed by the key {key}\n"));
    let other = key.chars().rev().collect::<String>();
    let forged = refused(&import(export.as_bytes(), &["--public-key", &other]));
    assert!(forged.contains(&format!("signed by the key {key}, not by {other}")), "{forged}");

    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut lines);
        refused(&import(lines.join("\n").as_bytes(), &[]))
    };
    let flipped = changed(&|lines| lines[100] = lines[100].replace("agent 98", "agent 89"));
    assert!(flipped.contains("line 101: the bytes of event 100 do not give its hash"), "{flipped}");
    let removed = changed(&|lines| drop(lines.remove(7)));
    assert!(removed.contains("line 8: event 7 is missing, 8 stands in its place"), "{removed}");
    let swapped = changed(&|lines| lines.swap(7, 8));
    assert!(swapped.contains("line 8: event 7 is missing"), "{swapped}");
    let short = changed(&|lines| lines.truncate(200));
    assert!(short.contains("the file is cut off"), "{short}");
    let foreign = changed(&|lines| lines[0] = lines[0].replace("default", "other"));
    assert!(foreign.contains("line 2"), "{foreign}");
    let left_out = changed(&|lines| drop(lines.drain(290..302)));
    assert!(left_out.contains("the checkpoint is of another log"), "{left_out}");
    let signed_otherwise = changed(&|lines| lines[302] = lines[302].replace("\"seq\":301", "\"seq\":300"));
    assert!(signed_otherwise.contains("signature"), "{signed_otherwise}");
    let longer = changed(&|lines| lines.push("{}".to_owned()));
    assert!(longer.contains("behind the checkpoint"), "{longer}");
    assert!(refused(&import(b"", &[])).contains("empty"));
    assert!(refused(&import(b"{}\n", &[])).contains("header"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_kept_tells_a_log_that_goes_on_from_one_that_was_rewritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = served(folder.path(), 2).await;
    drop(server);
    // Somebody keeps a copy of the folder, and puts it back later to make what came after undone.
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    let (server, http) = served(folder.path(), 2).await;
    let kept = http.get("/audit/checkpoint").await;
    let file = folder.path().join("kept.json");
    std::fs::write(&file, &kept.text).expect("written");
    http.post("/agents", json!({ "name": "later" })).await.data();
    drop(server);
    let path = file.to_str().expect("UTF-8");
    let extended = ok(&audit(folder.path(), &["verify", "--checkpoint", path]));
    assert!(extended.ends_with("it extends the checkpoint at event 6\n"), "{extended}");
    let export = ok(&audit(folder.path(), &["export"]));
    let extended = ok(&import(export.as_bytes(), &["--checkpoint", path]));
    assert!(extended.ends_with("they extend the checkpoint at event 6\n"), "{extended}");

    let (server, _) = served(copy.path(), 5).await;
    drop(server);
    let rewritten = refused(&audit(copy.path(), &["verify", "--checkpoint", path]));
    assert!(rewritten.contains("event 6 is not the one that the checkpoint saw"), "{rewritten}");
    let rewritten = ok(&audit(copy.path(), &["export"]));
    let rewritten = refused(&import(rewritten.as_bytes(), &["--checkpoint", path]));
    assert!(rewritten.contains("event 6 is not the one that the kept checkpoint saw"), "{rewritten}");

    let forged = kept.text.replace("\"seq\":6", "\"seq\":5");
    std::fs::write(&file, forged).expect("written");
    let unsigned = refused(&audit(folder.path(), &["verify", "--checkpoint", path]));
    assert!(unsigned.contains("not signed by this service's key"), "{unsigned}");
    let unsigned = refused(&import(export.as_bytes(), &["--checkpoint", path]));
    assert!(unsigned.contains("not signed by the public key in it"), "{unsigned}");
}
