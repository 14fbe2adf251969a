//! Integers, decimals and floats, exactly.

use super::Unfit;
use crate::limits::DECIMAL_DIGITS;
use events::IntegrationKind;
use events::skill::{FieldType, Shape};
use serde_json::Value;

/// Least and greatest value of an integer column.
pub(crate) fn integer_range(shape: &Shape) -> (i128, i128) {
    let assumed = if shape.field_type == FieldType::Bigint { 8 } else { 4 };
    let bits = u32::from(shape.integer_bytes.unwrap_or(assumed).clamp(1, 8)) * 8;
    if shape.unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) }
}

pub(super) fn integer(shape: &Shape, value: &Value) -> Result<i128, Unfit> {
    let number = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(whole))
            .ok_or_else(|| Unfit::kind("A whole number"))?,
        Value::String(text) if shape.field_type == FieldType::Bigint => parse(text)?,
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Unfit::kind("A whole number"));
        }
    };
    let (least, greatest) = integer_range(shape);
    if (least..=greatest).contains(&number) {
        Ok(number)
    } else {
        Err(Unfit::range(format!("A whole number from {least} to {greatest} is expected.")))
    }
}

/// `5.0` is a whole number too, as long as a double tells it from its neighbours.
fn whole(number: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i128)
}

fn parse(text: &str) -> Result<i128, Unfit> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unfit::format("A whole number in digits"));
    }
    // What is too long for 128 bits is too large for every column.
    text.parse().map_err(|_| Unfit::range("The number is too large for the column."))
}

pub(super) fn float(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<f64, Unfit> {
    let number = value.as_f64().filter(|number| number.is_finite()).ok_or_else(|| Unfit::kind("A number"))?;
    if shape.unsigned && number < 0.0 {
        return Err(Unfit::range("The number must not be negative."));
    }
    let single = match dialect {
        IntegrationKind::Postgres => shape.native_type == "real",
        IntegrationKind::Mysql => shape.native_type.starts_with("float"),
    };
    if single && number.abs() > f64::from(f32::MAX) {
        return Err(Unfit::range("The number is too large for the column."));
    }
    Ok(number)
}

/// Canonical text: no plus, no needless zeros, no exponent, no negative zero.
pub(super) fn decimal(shape: &Shape, value: &Value) -> Result<String, Unfit> {
    let text = match value {
        Value::Number(number) => {
            let text = canonical(&number.to_string())?;
            if number.is_f64() && significant(&text) > f64::DIGITS {
                let message = "A number with so many digits must be sent as a string, or some are lost.";
                return Err(Unfit { code: "invalid_type", message: message.to_owned() });
            }
            text
        }
        Value::String(text) => canonical(text)?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Unfit::kind("A number or its digits as a string"));
        }
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if shape.unsigned && digits.len() != text.len() {
        return Err(Unfit::range("The number must not be negative."));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = if whole == "0" { "" } else { whole };
    if let Some((all, after)) = shape.precision {
        if fraction.len() > after as usize {
            return Err(Unfit::range(format!("At most {after} digits after the point are kept.")));
        }
        let before = all.saturating_sub(after);
        if whole.len() > before as usize {
            return Err(Unfit::range(format!("At most {before} digits before the point are allowed.")));
        }
    }
    Ok(text)
}

/// Digits without the zeros on either side.
fn significant(text: &str) -> u32 {
    let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    let (count, _) = digits.fold(
        (0, 0),
        |(kept, seen), digit| {
            if digit == b'0' { (kept, seen + 1) } else { (seen + 1, seen + 1) }
        },
    );
    count
}

fn canonical(text: &str) -> Result<String, Unfit> {
    let unfit = || Unfit::format("A decimal number");
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().map_err(|_| unfit())?)
        }
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(unfit()),
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(unfit());
    }
    if whole.len() + fraction.len() > DECIMAL_DIGITS || exponent.unsigned_abs() as usize > DECIMAL_DIGITS {
        return Err(Unfit::range(format!("At most {DECIMAL_DIGITS} digits are allowed.")));
    }
    let mut digits = String::with_capacity(whole.len() + fraction.len() + 2);
    digits.push_str(whole);
    digits.push_str(fraction);
    // Where the point stands in `digits`, which may be outside.
    let point = whole.len() as i32 + exponent;
    let (whole, fraction) = if point <= 0 {
        (String::new(), "0".repeat(point.unsigned_abs() as usize) + &digits)
    } else if point as usize >= digits.len() {
        let zeros = "0".repeat(point as usize - digits.len());
        (digits + &zeros, String::new())
    } else {
        let fraction = digits.split_off(point as usize);
        (digits, fraction)
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let mut text = String::with_capacity(whole.len() + fraction.len() + 3);
    if negative && !(whole.is_empty() && fraction.is_empty()) {
        text.push('-');
    }
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    Ok(text)
}
