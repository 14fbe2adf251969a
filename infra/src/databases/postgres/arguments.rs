//! Parameters in the text form: the frozen statement casts each to its column's type.

use bytes::BytesMut;
use domain::arguments::Bound;
use postgres_types::{Format, IsNull, ToSql, Type};
use std::error::Error;
use std::fmt;

/// Has no readable Debug, since the client may log its parameters.
pub(super) struct Argument<'a>(pub(super) &'a Bound);

impl fmt::Debug for Argument<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl ToSql for Argument<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match text(self.0) {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    postgres_types::to_sql_checked!();
}

/// None for NULL.
fn text(bound: &Bound) -> Option<String> {
    match bound {
        Bound::Null => None,
        Bound::Boolean(value) => Some(value.to_string()),
        Bound::Integer(value) => Some(value.to_string()),
        Bound::Float(value) if value.is_infinite() => {
            Some(if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        }
        // Rust writes the shortest text that reads back to the same number.
        Bound::Float(value) => Some(format!("{value:?}")),
        Bound::Text(value) => Some(value.clone()),
        Bound::Binary(bytes) => Some(format!("\\x{}", hex::encode(bytes))),
        Bound::Array(items) => {
            let mut out = String::new();
            array(items, &mut out);
            Some(out)
        }
    }
}

/// `{"a","b",NULL,{"c"}}`: every element is quoted, so that none can be taken for NULL or structure.
fn array(items: &[Bound], out: &mut String) {
    out.push('{');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match item {
            Bound::Array(items) => array(items, out),
            Bound::Null => out.push_str("NULL"),
            Bound::Boolean(_) | Bound::Integer(_) | Bound::Float(_) | Bound::Text(_) | Bound::Binary(_) => {
                out.push('"');
                for character in text(item).unwrap_or_default().chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
}

/// A name from the engine's own catalog, quoted.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_elements_are_quoted_and_escaped_so_that_none_becomes_structure() {
        let nasty = ["NULL", "", "a,b", "}", "\"", "\\", "{x}", " "];
        let items = nasty.iter().map(|text| Bound::Text((*text).to_owned())).collect();
        let expected = r#"{"NULL","","a,b","}","\"","\\","{x}"," "}"#;
        assert_eq!(text(&Bound::Array(items)).as_deref(), Some(expected));
    }

    #[test]
    fn arrays_nest_and_hold_nulls() {
        let row = |items: &[i128]| Bound::Array(items.iter().map(|item| Bound::Integer(*item)).collect());
        let nested = Bound::Array(vec![row(&[1, 2]), row(&[3, 4])]);
        assert_eq!(text(&nested).as_deref(), Some(r#"{{"1","2"},{"3","4"}}"#));
        assert_eq!(text(&Bound::Array(vec![Bound::Null])).as_deref(), Some("{NULL}"));
        assert_eq!(text(&Bound::Array(Vec::new())).as_deref(), Some("{}"));
    }

    #[test]
    fn scalars_are_written_as_the_engine_reads_them() {
        assert_eq!(text(&Bound::Null), None);
        assert_eq!(text(&Bound::Boolean(true)).as_deref(), Some("true"));
        assert_eq!(text(&Bound::Float(f64::NEG_INFINITY)).as_deref(), Some("-Infinity"));
        assert_eq!(text(&Bound::Float(0.1)).as_deref(), Some("0.1"));
        assert_eq!(text(&Bound::Binary(vec![0, 255])).as_deref(), Some("\\x00ff"));
    }

    #[test]
    fn a_parameter_does_not_show_its_value_when_it_is_logged() {
        let secret = Bound::Text("secret".into());
        assert!(!format!("{:?}", Argument(&secret)).contains("secret"));
    }
}
