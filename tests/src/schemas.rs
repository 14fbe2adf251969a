//! Schemas of other people's programs, loaded into an engine of ours.

use crate::engines::Engine;
use events::IntegrationKind;
use std::path::Path;

/// Letters, digits and `_` of a file's name.
pub fn database_name(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

/// A script that makes a database of its own, and enters it, is loaded into ours.
///
/// # Errors
/// One sentence.
pub fn load(engine: &Engine, database: &str, file: &Path) -> Result<(), String> {
    let script = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let enters = |line: &str| {
        let line = line.trim_start().to_ascii_lowercase();
        ["drop database", "create database", "use ", "\\c ", "\\connect "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let script: Vec<&str> = script.lines().filter(|line| !enters(line)).collect();
    let (home, create, before) = match engine.kind {
        IntegrationKind::Postgres => (
            "postgres",
            format!("CREATE DATABASE \"{database}\""),
            "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\";",
        ),
        IntegrationKind::Mysql => (
            "mysql",
            format!("CREATE DATABASE `{database}` CHARACTER SET utf8mb4"),
            "SET foreign_key_checks = 0;",
        ),
    };
    let said = |message: String| {
        let error = message.lines().find(|line| line.to_ascii_lowercase().contains("error"));
        format!("cannot be loaded: {}", error.unwrap_or(&message))
    };
    engine.try_admin_sql(home, &create).map_err(said)?;
    engine.try_admin_sql(database, &format!("{before}\n{}", script.join("\n"))).map_err(said)?;
    Ok(())
}
