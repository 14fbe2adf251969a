//! Functions as Lambda runs them: processes of the real binary, started when an event comes and none is idle, each
//! with one event at a time and with no other environment than its own.

use super::runtime_api::{Invocation, Outcome, Phase, RuntimeApi};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Lambda's own limit of a function's start.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A function as the template deploys it.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub name: String,
    /// What the Lambda service sets, apart from that which every process has.
    pub environment: BTreeMap<String, String>,
    pub memory_mb: u32,
    pub timeout: Duration,
}

/// Why an event got no answer, as Lambda words it.
#[derive(Clone, Debug)]
pub struct FunctionError(pub Value);

pub enum Answer {
    Whole(Bytes),
    Streaming(tokio::sync::mpsc::Receiver<Bytes>),
}

/// A line that a function wrote.
#[derive(Clone, Debug)]
pub struct Line {
    pub function: String,
    pub text: String,
}

pub struct Fleet {
    program: PathBuf,
    functions: BTreeMap<String, Deployed>,
    idle: Arc<Mutex<BTreeMap<String, Vec<Instance>>>>,
    lines: Arc<Mutex<Vec<Line>>>,
    /// Lines are printed too.
    aloud: bool,
    started: Mutex<BTreeMap<String, u32>>,
}

struct Instance {
    api: RuntimeApi,
    child: Child,
}

impl Fleet {
    pub fn new(program: PathBuf, functions: impl IntoIterator<Item = Deployed>, aloud: bool) -> Self {
        let functions = functions.into_iter().map(|deployed| (deployed.name.clone(), deployed)).collect();
        Self {
            program,
            functions,
            idle: Arc::default(),
            lines: Arc::default(),
            aloud,
            started: Mutex::default(),
        }
    }

    /// The same functions, served by another program.
    pub fn with_program(&self, program: &Path) -> Self {
        Self::new(program.to_owned(), self.functions.values().cloned(), self.aloud)
    }

    pub fn function(&self, name: &str) -> &Deployed {
        self.functions.get(name).unwrap_or_else(|| panic!("no function {name} is deployed"))
    }

    /// Everything that any function wrote so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().expect("not poisoned").clone()
    }

    /// How many processes of the function were started so far.
    pub fn started(&self, name: &str) -> u32 {
        self.started.lock().expect("not poisoned").get(name).copied().unwrap_or_default()
    }

    /// Ends the idle processes of the function, as Lambda does after a while: the next event meets a cold one.
    pub async fn forget(&self, name: &str) {
        let forgotten = self.idle.lock().expect("not poisoned").remove(name);
        for mut instance in forgotten.into_iter().flatten() {
            instance.child.kill().await.expect("it can be ended");
        }
    }

    /// The answer to an event.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Answer, FunctionError> {
        self.invoke_unless(name, event, std::future::pending()).await
    }

    /// The answer to an event as JSON.
    pub async fn ask(&self, name: &str, event: &Value) -> Result<Value, FunctionError> {
        match self.invoke(name, event).await? {
            Answer::Whole(bytes) => Ok(serde_json::from_slice(&bytes).expect("functions answer with JSON")),
            Answer::Streaming(_) => panic!("{name} streams"),
        }
    }

    /// Kills the process, with SIGKILL, when `killed` comes before the answer.
    pub async fn invoke_unless(
        &self,
        name: &str,
        event: &Value,
        killed: impl Future<Output = ()>,
    ) -> Result<Answer, FunctionError> {
        let deployed = self.function(name);
        let idle = self.idle.lock().expect("not poisoned").get_mut(name).and_then(Vec::pop);
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.start(deployed).await?,
        };
        let (sender, outcome) = oneshot::channel();
        instance.api.invoke(Invocation {
            request_id: Uuid::new_v4().to_string(),
            event: Bytes::from(event.to_string()),
            timeout: deployed.timeout,
            outcome: sender,
        });
        let failure = tokio::select! {
            outcome = outcome => match outcome {
                Ok(Outcome::Answered(bytes)) => {
                    self.rest(name, instance);
                    return Ok(Answer::Whole(bytes));
                }
                Ok(Outcome::Streaming(chunks)) => return Ok(Answer::Streaming(self.relay(name, instance, chunks))),
                Ok(Outcome::Failed(error)) => {
                    self.rest(name, instance);
                    return Err(FunctionError(error));
                }
                Err(_) => json!({ "errorType": "Runtime.Unknown", "errorMessage": "no answer was posted" }),
            },
            status = instance.child.wait() => {
                let message = format!("the process ended: {}", status.expect("it can be waited for"));
                json!({ "errorType": "Runtime.ExitError", "errorMessage": message })
            }
            () = tokio::time::sleep(deployed.timeout) => {
                json!({ "errorType": "Sandbox.Timedout", "errorMessage": "the function took too long" })
            }
            () = killed => json!({ "errorType": "Runtime.ExitError", "errorMessage": "killed" }),
        };
        // An instance that failed is not used again; one that ended already cannot be killed.
        instance.child.kill().await.ok();
        Err(FunctionError(failure))
    }

    fn rest(&self, name: &str, instance: Instance) {
        self.idle.lock().expect("not poisoned").entry(name.to_owned()).or_default().push(instance);
    }

    /// Passes a stream on, and keeps the process from other events until it ends.
    fn relay(
        &self,
        name: &str,
        instance: Instance,
        mut chunks: tokio::sync::mpsc::Receiver<Bytes>,
    ) -> tokio::sync::mpsc::Receiver<Bytes> {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let (idle, name) = (self.idle.clone(), name.to_owned());
        tokio::spawn(async move {
            while let Some(chunk) = chunks.recv().await {
                if sender.send(chunk).await.is_err() {
                    // The client left; Lambda would let the function go on until its time is over.
                    return;
                }
            }
            idle.lock().expect("not poisoned").entry(name).or_default().push(instance);
        });
        receiver
    }

    async fn start(&self, deployed: &Deployed) -> Result<Instance, FunctionError> {
        let name = &deployed.name;
        *self.started.lock().expect("not poisoned").entry(name.clone()).or_default() += 1;
        let api = RuntimeApi::serve(name).await;
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(&deployed.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", deployed.memory_mb.to_string())
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("_HANDLER", name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        self.keep_lines(name, child.stdout.take().expect("it was piped"));
        self.keep_lines(name, child.stderr.take().expect("it was piped"));
        let mut phase = api.phase.clone();
        let failure = tokio::select! {
            reached = phase.wait_for(|phase| *phase != Phase::Starting) => {
                match &*reached.expect("the API is served as long as it is here") {
                    Phase::Ready => None,
                    Phase::Failed(said) => Some(said.clone()),
                    Phase::Starting => unreachable!("it was waited for another"),
                }
            }
            status = child.wait() => {
                let message = format!("the process ended: {}", status.expect("it can be waited for"));
                Some(json!({ "errorType": "Runtime.ExitError", "errorMessage": message }))
            }
            () = tokio::time::sleep(INIT_TIMEOUT) => {
                Some(json!({ "errorType": "Sandbox.Timedout", "errorMessage": "the start took too long" }))
            }
        };
        match failure {
            None => Ok(Instance { api, child }),
            Some(failure) => Err(FunctionError(failure)),
        }
    }

    fn keep_lines(&self, function: &str, output: impl AsyncRead + Unpin + Send + 'static) {
        let (lines, function, aloud) = (self.lines.clone(), function.to_owned(), self.aloud);
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(text)) = output.next_line().await {
                if aloud {
                    eprintln!("{function} {text}");
                }
                lines.lock().expect("not poisoned").push(Line { function: function.clone(), text });
            }
        });
    }
}
