//! How long values are as JSON, without writing them.

use serde_json::Value;
use std::io;

/// Adds up rows against a limit. Numbers are only formatted once it comes into reach, which for most answers it does not.
#[derive(Default)]
pub struct JsonSize {
    at_most: usize,
    exact: Option<usize>,
}

impl JsonSize {
    /// Whether this row fits too; `before` are those that were added.
    pub fn fits(&mut self, row: &[Value], before: &[Vec<Value>], limit: usize) -> bool {
        self.at_most = self.at_most.saturating_add(2 + row.iter().map(at_most).sum::<usize>());
        if self.at_most <= limit {
            return true;
        }
        let before = self.exact.unwrap_or_else(|| before.iter().map(|row| exact(row)).sum());
        let with_this = before.saturating_add(exact(row));
        self.exact = Some(with_this);
        with_this <= limit
    }
}

/// With the comma behind it. A character may be written as six, and no number takes more than forty.
fn at_most(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 6,
        Value::Number(_) => 40,
        Value::String(text) => 6 * text.len() + 3,
        Value::Array(values) => 3 + values.iter().map(at_most).sum::<usize>(),
        Value::Object(members) => {
            3 + members.iter().map(|(name, value)| 6 * name.len() + 3 + at_most(value)).sum::<usize>()
        }
    }
}

fn exact(row: &[Value]) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, row) {
        Ok(()) => count.0,
        Err(_) => usize::MAX / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn rows_fit_exactly_as_far_as_their_json_does(
            rows in prop::collection::vec(prop::collection::vec(values(), 0..5), 0..10),
            limit in 0usize..2000,
        ) {
            let (mut size, mut total) = (JsonSize::default(), 0);
            for (at, row) in rows.iter().enumerate() {
                total += serde_json::to_string(row).unwrap().len();
                let fits = size.fits(row, &rows[..at], limit);
                prop_assert_eq!(fits, total <= limit);
                if !fits {
                    break;
                }
            }
        }
    }
}
