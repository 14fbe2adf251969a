//! What stands in for AWS on one machine: servers on loopback that end with this process, however it ends.

#[cfg(test)]
pub mod wire;

use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_kms::config::Credentials;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long one may take to listen; moto loads for seconds when two cores are busy.
const START: Duration = Duration::from_secs(60);

/// How long an emulator may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Emulator {
    pub url: String,
    // Its standard input stays open as long as this process lives.
    _child: Child,
}

/// DynamoDB and its streams.
pub fn dynamodb() -> &'static Emulator {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    RUNNING.get_or_init(|| start("bin/dynoxide", &["serve", "--port"]))
}

/// KMS, Secrets Manager, S3, EventBridge and SQS.
pub fn moto() -> &'static Emulator {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    RUNNING.get_or_init(|| start("py/bin/moto_server", &["-p"]))
}

/// How an emulator is reached: it takes any credentials, and longer than the real service when the machine is busy.
pub async fn sdk_config(url: &str) -> SdkConfig {
    let patient = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
    impatient_sdk_config(url).await.to_builder().timeout_config(patient).build()
}

/// What a machine that runs other tests too may take beyond [`AWS_OPERATION_TIMEOUT`], and less than waiting for it twice.
///
/// [`AWS_OPERATION_TIMEOUT`]: domain::limits::AWS_OPERATION_TIMEOUT
pub const MARGIN: Duration = Duration::from_millis(1400);

/// The same with the limits that hold on AWS.
pub async fn impatient_sdk_config(url: &str) -> SdkConfig {
    crate::aws::loader()
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("emulator", "emulator", None, None, "emulator"))
        .endpoint_url(url)
        .load()
        .await
}

/// Something in the folder that `scripts/aws_tools.sh` and `scripts/mcp_tools.sh` fill.
pub fn tool(path: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../var/tools");
    let folder = std::env::var_os("BINDERY_TOOLS").map_or(default, PathBuf::from);
    let program = folder.join(path);
    assert!(program.exists(), "{} is missing: run make install", program.display());
    program
}

#[allow(clippy::disallowed_methods)] // a look at our own port, to see whether it listens
fn start(program: &str, arguments: &[&str]) -> Emulator {
    // Closed again before the emulator takes it: neither tells which port it got when asked for any.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address: SocketAddr = free.expect("a free port");
    // The shell waits for the end of its input, which is the end of this process.
    let child = Command::new("sh")
        .args(["-c", r#""$@" & read -r end; kill $!"#, "sh"])
        .arg(tool(program))
        .args(arguments)
        .arg(address.port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let give_up = Instant::now() + START;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        assert!(Instant::now() < give_up, "{program} does not listen on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Emulator { url: format!("http://{address}"), _child: child }
}
