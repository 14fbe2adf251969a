//! `GET /integrations/{kind}/sql/scripts`: SQL that an administrator runs to make least-privilege users.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::scripts::{self, Script};
use http::{HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Serialize;

/// 190 bits.
const PASSWORD_LENGTH: usize = 32;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptsResponse {
    read_only: ScriptItem,
    /// Only with `tables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<WriteScriptItem>,
    /// Only when no password was passed. It is shown this once and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_password: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct ScriptItem {
    username: String,
    sql: String,
    notes: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct WriteScriptItem {
    username: String,
    sql: String,
    tables: Vec<String>,
    notes: Vec<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-scripts",
    method: Method::GET,
    path: "/integrations/{kind}/sql/scripts",
    scope: Scope::IntegrationsRead,
    summary: "SQL that makes a read-only user and, for named tables, one that may write to exactly those",
    query: &[
        QueryParameter { name: "database", required: true, meaning: "The database to grant in" },
        QueryParameter {
            name: "tables",
            required: false,
            meaning: "Comma list of tables the write user may insert into and update",
        },
        QueryParameter { name: "schema", required: false, meaning: "PostgreSQL schema; public when absent" },
        QueryParameter {
            name: "username",
            required: false,
            meaning: "The read-only user; flowyte_ro when absent",
        },
        QueryParameter { name: "password", required: false, meaning: "Generated when absent" },
        QueryParameter { name: "host", required: false, meaning: "MySQL account host; % when absent" },
    ],
    request: None,
    response: schema::<ScriptsResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let given = context.query("password").map(str::to_owned);
    let generated = given.is_none().then(|| random::base62(PASSWORD_LENGTH));
    let password = given.or(generated.clone()).unwrap_or_default();
    let tables = scripts::tables(context.query("tables").unwrap_or_default());
    let request = scripts::Request {
        database: context.query("database").unwrap_or_default(),
        tables: &tables,
        schema: context.query("schema").unwrap_or(scripts::DEFAULT_SCHEMA),
        username: context.query("username").unwrap_or(scripts::READ_USER),
        password: &password,
        host: context.query("host").unwrap_or(scripts::DEFAULT_HOST),
    };
    let made =
        scripts::generate(kind, &request).map_err(|errors| Problem::fields(Code::ValidationError, errors))?;
    let response = ScriptsResponse {
        read_only: item(made.read_only),
        write: made.write.map(|write| WriteScriptItem {
            username: write.username,
            sql: write.sql,
            tables: write.tables,
            notes: write.notes,
        }),
        generated_password: generated,
    };
    let mut reply = Reply::ok(&response);
    reply.headers.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    Ok(reply)
}

fn item(script: Script) -> ScriptItem {
    ScriptItem { username: script.username, sql: script.sql, notes: script.notes }
}
