//! Starts and ends the program under test.

use crate::built;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What builds the program.
const BUILD: &str = "run: make build-tested (make test does)";

/// How long a server may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program beside the tests, with an environment of its own.
pub fn bindery() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PROGRAM.get_or_init(|| built::program("bindery", BUILD)));
    command.env_clear();
    command
}

/// `bindery keys mint` for a folder, with these arguments.
pub fn mint(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = bindery();
    command.args(["keys", "mint", "--name", "test", "--data-dir"]).arg(folder).args(arguments);
    command.output().expect("the program runs")
}

/// What it said to a person.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server on a port of its own, which ends with this value.
pub struct Server {
    pub url: String,
    /// Where its metrics are, when it was told to serve them.
    pub metrics: Option<String>,
    child: Child,
    log: Receiver<String>,
}

impl Server {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// With these variables in its environment.
    pub fn start_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_told(folder, variables, &[])
    }

    /// With these arguments beside those that every server of a test has.
    pub fn start_told(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut child = bindery()
            .envs(variables.iter().copied())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let stderr = BufReader::new(child.stderr.take().expect("it was piped"));
        let (send, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody listens any more once the test is over; the pipe is emptied all the same.
                send.send(line).ok();
            }
        });
        let mut server = Self { url: String::new(), metrics: None, child, log };
        let serving = server.wait_until_it_says("serving");
        server.url = format!("http://{}", serving["fields"]["listen"].as_str().expect("the address"));
        server.metrics = serving["fields"]["metrics"].as_str().map(|at| format!("http://{at}/metrics"));
        server
    }

    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// The line of the log that has this message.
    pub fn wait_until_it_says(&self, message: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("the server never said {message:?}: {error}"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no log line: {line}"));
            if line["fields"]["message"] == message {
                return line;
            }
        }
    }

    /// Everything that it logged since it was last listened to, to its end.
    pub fn rest_of_the_log(&self) -> Vec<Value> {
        let parsed =
            |line: String| serde_json::from_str(&line).unwrap_or_else(|_| panic!("no log line: {line}"));
        self.log.iter().map(parsed).collect()
    }

    /// Bytes of its memory that are in use.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        // The shell's own: Debian keeps the program in a package that a small machine lacks.
        let sent =
            Command::new("sh").args(["-c", "kill -TERM $0", &pid]).status().expect("every machine has sh");
        assert!(sent.success());
    }

    /// As a crash does, without any chance to end well.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
