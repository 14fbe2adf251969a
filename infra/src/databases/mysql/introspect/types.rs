//! A column's type as MySQL writes it, normalised.

use events::skill::{FieldType, Shape};

/// What information_schema.COLUMNS says of a column's type.
pub(super) struct NativeType<'a> {
    /// `tinyint`
    pub data_type: &'a str,
    /// `tinyint(1) unsigned`
    pub column_type: &'a str,
    /// Characters, or bytes of a binary.
    pub length: Option<u64>,
    /// Digits of a decimal, bits of a BIT.
    pub precision: Option<u64>,
    pub scale: Option<u64>,
    /// MariaDB's JSON: a longtext with a `json_valid` check.
    pub checked_json: bool,
}

pub(super) fn shape(native: &NativeType<'_>) -> Shape {
    let column_type = native.column_type.to_ascii_lowercase();
    let mut shape = Shape {
        field_type: FieldType::Other,
        native_type: native.column_type.to_owned(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    };
    match native.data_type.to_ascii_lowercase().as_str() {
        // The display width is how MySQL spells BOOLEAN.
        "tinyint" if column_type.starts_with("tinyint(1)") => shape.field_type = FieldType::Boolean,
        "tinyint" => integer(&mut shape, 1, &column_type),
        "smallint" => integer(&mut shape, 2, &column_type),
        "mediumint" => integer(&mut shape, 3, &column_type),
        "int" => integer(&mut shape, 4, &column_type),
        "bigint" => integer(&mut shape, 8, &column_type),
        "bit" => bits(&mut shape, native.precision.unwrap_or(1)),
        "year" => {
            // 1901 to 2155
            integer(&mut shape, 2, "");
            shape.unsigned = true;
        }
        "decimal" | "numeric" => {
            shape.field_type = FieldType::Decimal;
            shape.unsigned = column_type.contains("unsigned");
            let digits = |count: Option<u64>| count.and_then(|count| u32::try_from(count).ok());
            shape.precision = digits(native.precision).zip(digits(native.scale));
        }
        "float" | "double" | "real" => shape.field_type = FieldType::Float,
        "date" => shape.field_type = FieldType::Date,
        "time" => shape.field_type = FieldType::Time,
        "datetime" => shape.field_type = FieldType::Timestamp,
        "timestamp" => shape.field_type = FieldType::Timestamptz,
        "json" => shape.field_type = FieldType::Json,
        "longtext" if native.checked_json => shape.field_type = FieldType::Json,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            shape.field_type = FieldType::String;
            shape.max_length = native.length;
        }
        "inet4" | "inet6" => shape.field_type = FieldType::String,
        "uuid" => shape.field_type = FieldType::Uuid,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            shape.field_type = FieldType::Binary;
            shape.max_length = native.length;
        }
        "enum" => {
            shape.field_type = FieldType::Enum;
            shape.enum_values = members(native.column_type);
        }
        "set" => {
            shape.field_type = FieldType::Array;
            shape.set = true;
            shape.enum_values = members(native.column_type);
            shape.element = Some(Box::new(Shape {
                field_type: FieldType::Enum,
                set: false,
                element: None,
                ..shape.clone()
            }));
        }
        // geometry, vector, and what later versions bring
        _ => {}
    }
    shape
}

fn integer(shape: &mut Shape, bytes: u8, column_type: &str) {
    shape.unsigned = column_type.contains("unsigned") || column_type.contains("zerofill");
    shape.integer_bytes = Some(bytes);
    shape.field_type = if bytes == 8 { FieldType::Bigint } else { FieldType::Integer };
}

/// One bit is how some frameworks spell BOOLEAN. Several are a number: compared as bytes, MySQL would take them for
/// the number 0.
fn bits(shape: &mut Shape, bits: u64) {
    match bits {
        0 | 1 => shape.field_type = FieldType::Boolean,
        2..=8 => integer(shape, 1, "unsigned"),
        9..=16 => integer(shape, 2, "unsigned"),
        17..=24 => integer(shape, 3, "unsigned"),
        25..=32 => integer(shape, 4, "unsigned"),
        _ => integer(shape, 8, "unsigned"),
    }
}

/// The members in `enum('a','b''c')`. Quotes are doubled, backslash, newline, return and zero are escaped.
fn members(column_type: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut member: Option<String> = None;
    let mut chars = column_type.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, &mut member) {
            ('\'', None) => member = Some(String::new()),
            ('\'', Some(text)) if chars.peek() == Some(&'\'') => {
                chars.next();
                text.push('\'');
            }
            ('\'', Some(text)) => {
                members.push(std::mem::take(text));
                member = None;
            }
            ('\\', Some(text)) => text.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            }),
            (char, Some(text)) => text.push(char),
            (_, None) => {}
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data_type: &str, column_type: &str, precision: Option<u64>) -> Shape {
        shape(&NativeType {
            data_type,
            column_type,
            length: None,
            precision,
            scale: Some(2),
            checked_json: false,
        })
    }

    #[test]
    fn members_keep_quotes_commas_escapes_and_emptiness() {
        assert_eq!(
            members(r"enum('a','b''c','d,e','','x\ny','p\\q')"),
            ["a", "b'c", "d,e", "", "x\ny", "p\\q"]
        );
    }

    #[test]
    fn a_display_width_of_one_is_a_boolean_and_no_other_is() {
        assert_eq!(of("tinyint", "tinyint(1)", Some(3)).field_type, FieldType::Boolean);
        assert_eq!(of("tinyint", "tinyint(4)", Some(3)).field_type, FieldType::Integer);
        assert_eq!(of("tinyint", "tinyint", Some(3)).field_type, FieldType::Integer);
        assert_eq!(of("bit", "bit(1)", Some(1)).field_type, FieldType::Boolean);
        assert_eq!(of("bit", "bit(12)", Some(12)).integer_bytes, Some(2));
    }

    #[test]
    fn unsigned_numbers_and_decimals_keep_their_ranges() {
        let big = of("bigint", "bigint(20) unsigned", Some(20));
        assert_eq!((big.field_type, big.unsigned, big.integer_bytes), (FieldType::Bigint, true, Some(8)));
        let zerofill = of("int", "int(5) unsigned zerofill", Some(10));
        assert_eq!((zerofill.field_type, zerofill.unsigned), (FieldType::Integer, true));
        assert_eq!(of("decimal", "decimal(12,2)", Some(12)).precision, Some((12, 2)));
    }

    #[test]
    fn unknown_types_are_other() {
        assert_eq!(of("point", "point", None).field_type, FieldType::Other);
        assert_eq!(of("vector", "vector(3)", None).field_type, FieldType::Other);
    }
}
