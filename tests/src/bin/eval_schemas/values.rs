//! Values to call with: one that stands in the table, written as a caller would send it.

use events::IntegrationKind;
use serde_json::{Value, json};
use std::fmt::Write;
use tests::engines::Engine;

/// A column that a read filters by.
pub struct Filter {
    /// As SQL names it, quoted and qualified.
    pub table: String,
    pub column: String,
    /// As `GET /schema` describes it.
    pub field: Value,
}

/// For each filter a value of its column, where a row has one that is not NULL. One run of the engine's own client:
/// what is called with does not come from the drivers that are judged.
///
/// # Errors
/// The engine's message.
pub fn standing(engine: &Engine, database: &str, filters: &[Filter]) -> Result<Vec<Option<Value>>, String> {
    let mut sql = String::new();
    for (at, filter) in filters.iter().enumerate() {
        let one = match engine.kind {
            IntegrationKind::Postgres => on_postgres(filter),
            IntegrationKind::Mysql => on_mysql(filter),
        };
        // A literal for the position; a table without rows prints no line. Writing to a String cannot fail.
        writeln!(sql, "SELECT {at}, {one};").ok();
    }
    let mut values = vec![None; filters.len()];
    for line in engine.try_admin_sql(database, &sql)?.lines() {
        let (at, hex) = line.split_once(['|', '\t']).ok_or_else(|| format!("not a value: {line}"))?;
        let at: usize = at.parse().map_err(|_| format!("not a position: {line}"))?;
        let json = decoded(hex).ok_or_else(|| format!("not hex: {line}"))?;
        values[at] = Some(serde_json::from_slice(&json).map_err(|error| format!("{error}: {line}"))?);
    }
    Ok(values)
}

/// Hex is the one text that both clients print as it is.
fn decoded(hex: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn on_postgres(filter: &Filter) -> String {
    let Filter { table, column, field } = filter;
    let json = match field["type"].as_str().unwrap_or_default() {
        // Beyond what a JSON number holds exactly.
        "bigint" | "decimal" => format!("to_json({column}::text)"),
        "binary" => format!("to_json(translate(encode({column}, 'base64'), E'\\n', ''))"),
        _ => format!("to_json({column})"),
    };
    format!("encode(convert_to({json}::text, 'UTF8'), 'hex') FROM {table} WHERE {column} IS NOT NULL LIMIT 1")
}

fn on_mysql(filter: &Filter) -> String {
    let Filter { table, column, field } = filter;
    let quoted = |text: &str| format!("JSON_QUOTE(CONVERT({text} USING utf8mb4))");
    let json = match field["type"].as_str().unwrap_or_default() {
        "integer" => format!("CAST({column} + 0 AS CHAR)"),
        "float" => format!("CAST({column} AS CHAR)"),
        "boolean" => format!("IF({column}, 'true', 'false')"),
        "timestamp" => quoted(&format!("DATE_FORMAT({column}, '%Y-%m-%dT%H:%i:%s.%f')")),
        "timestamptz" => quoted(&format!("DATE_FORMAT({column}, '%Y-%m-%dT%H:%i:%s.%fZ')")),
        "binary" => quoted(&format!("REPLACE(TO_BASE64({column}), '\\n', '')")),
        "array" => format!("JSON_ARRAY({column})"),
        _ => quoted(&format!("CAST({column} AS CHAR)")),
    };
    // A boolean column may hold other numbers, which no caller can name.
    let beside = if field["type"] == "boolean" { format!(" AND {column} IN (0, 1)") } else { String::new() };
    format!("HEX({json}) FROM {table} WHERE {column} IS NOT NULL{beside} LIMIT 1")
}

/// A value that fits the field, for a table that has none. No row of it can match.
pub fn fitting(field: &Value) -> Value {
    match field["type"].as_str().unwrap_or_default() {
        "integer" | "bigint" => json!(1),
        "decimal" => json!("1"),
        "float" => json!(1.5),
        "boolean" => json!(true),
        "date" => json!("2026-01-02"),
        "time" => json!("10:00:00"),
        "timestamp" => json!("2026-01-02T10:00:00"),
        "timestamptz" => json!("2026-01-02T10:00:00Z"),
        "interval" => json!("P1D"),
        "uuid" => json!("00000000-0000-4000-8000-000000000001"),
        "json" => json!({}),
        "binary" => json!("AA=="),
        "enum" => field["enumValues"][0].clone(),
        "array" => json!([]),
        _ => json!("x"),
    }
}
