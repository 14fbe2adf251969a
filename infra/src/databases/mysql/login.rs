//! The login inside TLS. Which plugin is used is the server's choice; which ones we take part in is ours.

use super::failure::{Failure, Result};
use super::packets::{Greeting, LoginReply, handshake_response};
use super::wire::Wire;
use crate::databases::driver::Credentials;
use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context};
use mysql_common::packets::AuthPlugin;

/// A login takes two or three packets of the server, one change of plugin included.
const REPLIES_MAX: usize = 8;

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    Done,
    /// The account asks for a plugin that gives the password away or is not known here.
    PluginRefused,
}

/// What the plugins may know. They never see an unencrypted connection, so none of them falls back to RSA keys that
/// anybody could have sent.
struct InsideTls<'a> {
    password: &'a [u8],
    nonce: &'a [u8],
}

impl Context for InsideTls<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    fn is_tls_transport(&self) -> bool {
        true
    }

    fn scramble(&self) -> &[u8] {
        self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

pub(super) async fn login(wire: &mut Wire, greeting: &Greeting, credentials: &Credentials) -> Result<Login> {
    let password = credentials.password.expose().as_bytes();
    // When the server's default is none of ours, the account may still have one of ours: it says so by a switch.
    let first = accepted(&greeting.plugin).unwrap_or(AuthPlugin::MysqlNativePassword);
    let mut plugin = start(&first)?;
    // The nonce of the greeting has 20 bytes; a plugin that needs another form gets it with the switch.
    let answer = match respond(&mut plugin, password, &greeting.nonce) {
        Ok(answer) => answer.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    wire.write(&handshake_response(&credentials.user, &credentials.database, first, &answer)).await?;

    let mut switched = false;
    for _ in 0..REPLIES_MAX {
        match LoginReply::parse(wire.read().await?)? {
            LoginReply::Done => return Ok(Login::Done),
            LoginReply::More(data) => {
                if let Some(answer) = respond(&mut plugin, password, &data)? {
                    wire.write(&answer).await?;
                }
            }
            LoginReply::Switch { .. } if switched => {
                return Err(Failure::Violation("a second change of the login plugin"));
            }
            LoginReply::Switch { plugin: name, challenge } => {
                switched = true;
                let Some(next) = accepted(&name) else { return Ok(Login::PluginRefused) };
                plugin = start(&next)?;
                // The 20-byte nonces come with a zero behind them, the 32 bytes of ed25519 without.
                let challenge = match challenge.split_last() {
                    Some((0, nonce)) if nonce.len() == 20 => nonce,
                    Some(_) | None => &challenge,
                };
                let answer = respond(&mut plugin, password, challenge)?.unwrap_or_default();
                wire.write(&answer).await?;
            }
        }
    }
    Err(Failure::Violation("a login without end"))
}

/// Absent on purpose: mysql_clear_password, dialog (PAM) and sha256_password, which send the password itself to
/// whoever asks, and the broken hash of MySQL 4. caching_sha2_password sends it too when the server does not know
/// its hash yet, and it is what MySQL 8 creates accounts with; only a verified certificate says who gets it.
fn accepted(name: &[u8]) -> Option<AuthPlugin<'static>> {
    match AuthPlugin::from_bytes(name) {
        AuthPlugin::MysqlNativePassword => Some(AuthPlugin::MysqlNativePassword),
        AuthPlugin::CachingSha2Password => Some(AuthPlugin::CachingSha2Password),
        AuthPlugin::Ed25519 => Some(AuthPlugin::Ed25519),
        AuthPlugin::MysqlClearPassword
        | AuthPlugin::MysqlOldPassword
        | AuthPlugin::Sha256Password
        | AuthPlugin::Parsec
        | AuthPlugin::Other(_) => None,
    }
}

fn start(plugin: &AuthPlugin<'_>) -> Result<AuthProc> {
    plugin.init().map_err(|_| Failure::Violation("a login plugin that is not built in"))
}

fn respond(plugin: &mut AuthProc, password: &[u8], challenge: &[u8]) -> Result<Option<Vec<u8>>> {
    let context = InsideTls { password, nonce: challenge };
    match plugin.run(context, challenge) {
        Ok(response) => Ok(response.data().map(<[u8]>::to_vec)),
        Err(_) => Err(Failure::Violation("a login challenge of the wrong form")),
    }
}
