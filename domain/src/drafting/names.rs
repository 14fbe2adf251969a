//! What a proposal calls its parameters, answers and tool.

use crate::search::singular;
use crate::statement::slug;

/// `patient_id` for the column `id` of `patients`, else the column's name as models read it.
pub(super) fn parameter(column: &str, table: &str) -> String {
    let own = snake(column);
    let own = if ["id", "name", "code", "number", "no", "key"].contains(&own.as_str()) {
        format!("{}_{own}", snake(&singular(table)))
    } else {
        own
    };
    if own.is_empty() { "value".to_owned() } else { own }
}

/// Small letters, digits and `_`, beginning with a letter: a leaf, and a parameter.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut small = false;
    for char in name.chars().filter(char::is_ascii) {
        if char.is_ascii_alphanumeric() {
            if char.is_ascii_uppercase() && small {
                snake.push('_');
            }
            small = char.is_ascii_lowercase() || char.is_ascii_digit();
            snake.push(char.to_ascii_lowercase());
        } else {
            small = false;
            if !snake.ends_with('_') && !snake.is_empty() {
                snake.push('_');
            }
        }
    }
    let snake = snake.trim_start_matches(|char: char| !char.is_ascii_lowercase()).trim_end_matches('_');
    snake.chars().take(60).collect()
}

pub(super) fn spoken(name: &str) -> String {
    snake(name).replace('_', " ")
}

pub(super) fn tool_name(verb: &str, table: &str, column: Option<&str>) -> String {
    let by = column.map(|column| format!("_by_{}", snake(column))).unwrap_or_default();
    let whole = format!("{verb}_{}{by}", snake(table));
    let name = if whole.len() <= 40 { whole } else { format!("{verb}_{}", snake(table)) };
    slug(&name.chars().take(40).collect::<String>()).unwrap_or_else(|| verb.to_owned())
}
