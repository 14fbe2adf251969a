//! One schema, from its file to its calls.

use crate::values::{Filter, fitting, standing};
use domain::limits::{JOINS_MAX, PROJECTION_MAX};
use domain::scripts::DEFAULT_SCHEMA;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::engines::Engine;
use tests::http::{Answer, Http};
use tests::schemas;
use tests::site::{Site, all_scopes};

/// Skills of one agent: as many as a busy agent has, and a publication stays a small commit.
const SKILLS: usize = 50;

pub struct Evaluation {
    /// Objects, columns, foreign keys, and objects with an index that an equality can use: what discovery found, and
    /// what the engine counts.
    pub found: [u64; 4],
    pub counted: [u64; 4],
    pub reads: usize,
    pub ok: usize,
    pub not_found: usize,
    /// A line each.
    pub failed: Vec<String>,
    /// Tables that no read can be bound for, because of the types of their indexed columns.
    pub unbindable: Vec<String>,
    pub discovery: Duration,
    pub whole: Duration,
}

/// # Errors
/// One sentence, when it did not come as far as the calls.
pub async fn evaluate(site: &Site, engine: &Engine, name: &str, file: &Path) -> Result<Evaluation, String> {
    let began = Instant::now();
    let database = schemas::database_name(name);
    schemas::load(engine, &database, file)?;
    let counted = counted(engine, &database)?;
    let http = site.http_as(&format!("{}-{name}", engine.kind), &all_scopes()).await;
    connect(&http, engine, &database).await?;
    let discovering = Instant::now();
    let result = discover(&http, engine.kind).await?;
    let discovery = discovering.elapsed();
    let objects = objects(&http, engine.kind).await?;
    let indexed = objects.iter().filter(|object| is_indexed(object)).count() as u64;
    let [tables, columns, keys] =
        ["objectCount", "fieldCount", "edgeCount"].map(|count| result[count].as_u64().unwrap_or(0));
    let found = [tables, columns, keys, indexed];

    let mut evaluation = Evaluation {
        found,
        counted,
        reads: 0,
        ok: 0,
        not_found: 0,
        failed: Vec::new(),
        unbindable: objects
            .iter()
            .filter(|object| is_indexed(object) && !has_read(object))
            .map(name_of)
            .collect(),
        discovery,
        whole: Duration::ZERO,
    };
    let readable: Vec<(&Value, &Value)> =
        objects.iter().filter_map(|object| Some((object, filter_of(object)?))).collect();
    let filters: Vec<Filter> =
        readable.iter().map(|(object, field)| filter(engine.kind, object, field)).collect();
    let values = standing(engine, &database, &filters)?;
    for (readable, values) in readable.chunks(SKILLS).zip(values.chunks(SKILLS)) {
        read(&http, engine.kind, readable, values, &mut evaluation).await?;
    }
    evaluation.whole = began.elapsed();
    Ok(evaluation)
}

/// The same four as in [`Evaluation::found`].
fn counted(engine: &Engine, database: &str) -> Result<[u64; 4], String> {
    let question = match engine.kind {
        IntegrationKind::Postgres => {
            r"WITH objects AS (
                SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
                  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema')
              SELECT (SELECT count(*) FROM objects),
                (SELECT count(*) FROM pg_attribute a JOIN objects o ON o.oid = a.attrelid
                 WHERE a.attnum > 0 AND NOT a.attisdropped),
                (SELECT count(*) FROM pg_constraint k JOIN objects o ON o.oid = k.conrelid
                 WHERE k.contype = 'f' AND k.conparentid = 0),
                (SELECT count(DISTINCT i.indrelid) FROM pg_index i JOIN objects o ON o.oid = i.indrelid
                 JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
                 WHERE m.amname IN ('btree', 'hash') AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] > 0)"
        }
        IntegrationKind::Mysql => {
            "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE()),
                (SELECT count(*) FROM information_schema.columns WHERE table_schema = DATABASE()),
                (SELECT count(*) FROM information_schema.referential_constraints
                 WHERE constraint_schema = DATABASE()),
                (SELECT count(DISTINCT table_name) FROM information_schema.statistics
                 WHERE table_schema = DATABASE() AND seq_in_index = 1 AND index_type = 'BTREE')"
        }
    };
    let line = engine.try_admin_sql(database, question)?;
    let counts: Result<Vec<u64>, _> = line.trim().split(['|', '\t']).map(str::parse).collect();
    let counts = counts.ok().and_then(|counts| counts.try_into().ok());
    counts.ok_or_else(|| format!("the engine counts: {line}"))
}

/// As the user that the generated script makes; on PostgreSQL it is run for each schema.
async fn connect(http: &Http, engine: &Engine, database: &str) -> Result<(), String> {
    let schemas = match engine.kind {
        IntegrationKind::Postgres => engine.try_admin_sql(
            database,
            r"SELECT nspname FROM pg_namespace
              WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'",
        )?,
        IntegrationKind::Mysql => DEFAULT_SCHEMA.to_owned(),
    };
    let user = format!("ro_{database}");
    for schema in schemas.lines() {
        let path = format!(
            "/integrations/{}/sql/scripts?database={database}&schema={schema}&username={user}&password=evaluated-once",
            engine.kind
        );
        let script = data(&http.get(&path).await)?;
        engine.try_admin_sql(database, script["readOnly"]["sql"].as_str().unwrap_or_default())?;
    }
    let credentials = json!({ "credentials": {
        "host": engine.host, "port": engine.port, "database": database, "user": user,
        "password": "evaluated-once", "sslmode": "verify-full", "ca_pem": engine.ca_pem,
    }});
    data(&http.post(&format!("/integrations/{}/connect", engine.kind), credentials).await).map(drop)
}

/// The result of a discovery; a long one is polled until it ends.
async fn discover(http: &Http, kind: IntegrationKind) -> Result<Value, String> {
    let mut answer = data(&http.post(&format!("/integrations/{kind}/discover"), json!({})).await)?;
    while let Some(id) = answer["discoveryId"].as_str() {
        match answer["status"].as_str() {
            Some("running") => tokio::time::sleep(Duration::from_millis(100)).await,
            Some("finished") => return Ok(answer["result"].clone()),
            _ => return Err(format!("the discovery failed: {}", answer["error"])),
        }
        answer = data(&http.get(&format!("/integrations/{kind}/discoveries/{id}")).await)?;
    }
    Ok(answer)
}

/// Every object of the schema, page by page.
async fn objects(http: &Http, kind: IntegrationKind) -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = http.get(&format!("/integrations/{kind}/schema?limit=100{cursor}")).await;
        let page = data(&answer)?;
        objects.extend(page["objects"].as_array().cloned().unwrap_or_default());
        match answer.body["pagination"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(objects),
        }
    }
}

fn fields(object: &Value) -> impl Iterator<Item = &Value> {
    object["fields"].as_array().into_iter().flatten()
}

fn has_read(object: &Value) -> bool {
    object["operations"].as_array().into_iter().flatten().any(|it| *it == format!("{}.read", name_of(object)))
}

fn name_of(object: &Value) -> String {
    object["name"].as_str().unwrap_or_default().to_owned()
}

fn is_indexed(object: &Value) -> bool {
    fields(object).any(|field| field["indexed"] != "none")
}

/// The column to read by: the first that is unique, else the first that leads an index.
fn filter_of(object: &Value) -> Option<&Value> {
    let bindable = |field: &&Value| field["type"] != "other";
    let first = |how: &str| fields(object).filter(bindable).find(|field| field["indexed"] == how);
    first("unique").or_else(|| first("leading")).filter(|_| has_read(object))
}

fn filter(kind: IntegrationKind, object: &Value, field: &Value) -> Filter {
    let quote = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        match kind {
            IntegrationKind::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            IntegrationKind::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    };
    let name = name_of(object);
    let schema = object["schema"].as_str().unwrap_or_default();
    let table = name.strip_prefix(&format!("{schema}.")).unwrap_or(&name);
    Filter {
        table: format!("{}.{}", quote(&object["schema"]), quote(&json!(table))),
        column: quote(&field["name"]),
        field: field.clone(),
    }
}

/// One agent: binds a read for each table, publishes, and calls.
async fn read(
    http: &Http,
    kind: IntegrationKind,
    readable: &[(&Value, &Value)],
    values: &[Option<Value>],
    evaluation: &mut Evaluation,
) -> Result<(), String> {
    let agent = data(&http.post("/agents", json!({ "name": "Evaluation" })).await)?;
    let agent = agent["id"].as_str().unwrap_or_default();
    let mut bound = Vec::new();
    for (at, (object, field)) in readable.iter().enumerate() {
        let binding = json!({
            "toolName": format!("read_{at}"),
            "operation": format!("{}.read", name_of(object)),
            "inputs": [{ "param": "value", "arg": field["name"] }],
            "projection": projection(object),
        });
        let path = format!("/agents/{agent}/integrations/{kind}/bindings");
        match data(&http.post(&path, binding).await) {
            Ok(_) => bound.push(at),
            Err(reason) => evaluation.failed.push(format!("{}: not bound: {reason}", name_of(object))),
        }
    }
    evaluation.reads += bound.len();
    if bound.is_empty() {
        return Ok(());
    }
    data(&http.post(&format!("/agents/{agent}/publish"), json!({})).await)?;
    for at in bound {
        let (object, field) = readable[at];
        let (expected, value) = match &values[at] {
            Some(value) => ("ok", value.clone()),
            None => ("not_found", fitting(field)),
        };
        let path = format!("/agents/{agent}/skills/read_{at}/call");
        let answer = data(&http.post(&path, json!({ "arguments": { "value": value } })).await);
        match answer {
            Ok(answer) if answer["outcome"] == expected => match expected {
                "ok" => evaluation.ok += 1,
                _ => evaluation.not_found += 1,
            },
            other => {
                let by = format!("{}.{} = {value}", name_of(object), field["name"]);
                evaluation.failed.push(format!("{by}: {expected} is expected: {other:?}"));
            }
        }
    }
    Ok(())
}

/// All columns of the object that fit, then one of each table that a foreign key of it leads to.
fn projection(object: &Value) -> Vec<Value> {
    let mut leaves = Vec::new();
    let mut path = |path: [&Value; 2]| {
        let leaf = format!("leaf_{}", leaves.len());
        leaves.push(json!({ "path": path, "leaf": leaf }));
    };
    let relationships = object["relationships"].as_array().into_iter().flatten();
    let belongs = relationships.filter(|edge| edge["kind"] == "belongsTo").take(JOINS_MAX);
    let mut joined = HashSet::new();
    for edge in belongs {
        if joined.insert(edge["name"].to_string()) {
            path([&edge["name"], &edge["targetFields"][0]]);
        }
    }
    for field in fields(object).take(PROJECTION_MAX - joined.len()) {
        path([&object["name"], &field["name"]]);
    }
    leaves
}

fn data(answer: &Answer) -> Result<Value, String> {
    match answer.body["success"] == true {
        true => Ok(answer.body["data"].clone()),
        false => Err(format!(
            "{} {} {} {}",
            answer.status,
            answer.code(),
            answer.body["detail"],
            answer.body["errors"]
        )),
    }
}
