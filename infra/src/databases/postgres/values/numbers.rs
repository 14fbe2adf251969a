//! Numbers: exact ones stay text.

use super::{Reader, Unreadable};
use serde_json::Value;

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// JSON has no NaN and no infinity.
pub(super) fn float8(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// The shortest decimal that is this single: 0.1 stays 0.1 and does not become 0.10000000149.
pub(super) fn float4(number: f32) -> Value {
    if number.is_finite() {
        float8(number.to_string().parse().unwrap_or_else(|_| f64::from(number)))
    } else {
        float8(f64::from(number))
    }
}

/// Digits in groups of four: their count, the weight of the first, sign, digits after the point, groups.
pub(super) fn numeric(bytes: &[u8]) -> Result<String, Unreadable> {
    let mut reader = Reader(bytes);
    let count = reader.i16()?;
    let weight = reader.i16()?;
    let sign = reader.i16()? as u16;
    let scale = usize::try_from(reader.i16()?).map_err(|_| Unreadable::Malformed)?;
    match sign {
        NOT_A_NUMBER => return Ok("NaN".into()),
        INFINITY => return Ok("Infinity".into()),
        MINUS_INFINITY => return Ok("-Infinity".into()),
        0 | NEGATIVE => {}
        _ => return Err(Unreadable::Malformed),
    }
    let mut groups = Vec::new();
    for _ in 0..count {
        let group = reader.i16()?;
        if !(0..10_000).contains(&group) {
            return Err(Unreadable::Malformed);
        }
        groups.push(group);
    }
    if count < 0 || !reader.0.is_empty() {
        return Err(Unreadable::Malformed);
    }
    // Group i stands for 10000^(weight - i); those outside of what was sent are zero.
    let group = |power: i32| {
        let at = usize::try_from(i32::from(weight) - power).ok();
        at.and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    for power in (0..=i32::from(weight).max(0)).rev() {
        text.push_str(&format!("{:04}", group(power)));
    }
    let whole = text.trim_start_matches('0');
    let mut out = String::new();
    if sign == NEGATIVE {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let mut fraction = String::new();
        let mut power = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", group(power)));
            power -= 1;
        }
        fraction.truncate(scale);
        out.push('.');
        out.push_str(&fraction);
    }
    Ok(out)
}
