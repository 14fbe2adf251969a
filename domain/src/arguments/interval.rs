//! Lengths of time: `P1DT2H`, `1 day 2 hours`, `02:30:00`. Canonical is ISO 8601, which PostgreSQL reads exactly.

use super::{Unfit, string};
use serde_json::Value;
use std::fmt::Write;

/// Months, days and microseconds, apart as PostgreSQL keeps them: a month has no fixed length.
#[derive(Default)]
struct Length {
    months: i64,
    days: i64,
    micros: i64,
}

const SECOND: i64 = 1_000_000;

pub(super) fn interval(value: &Value) -> Result<String, Unfit> {
    let text = string(value)?.trim();
    let length = if text.starts_with(['P', '-']) && text.contains('P') { iso(text) } else { spoken(text) };
    let length = length.ok_or_else(|| Unfit::format("A duration such as PT1H30M or `1 day 2 hours`"))?;
    // PostgreSQL keeps months and days in 32 bits.
    if i32::try_from(length.months).is_err() || i32::try_from(length.days).is_err() {
        return Err(Unfit::range("The duration is too long."));
    }
    Ok(write(&length))
}

fn write(length: &Length) -> String {
    let mut text = String::from("P");
    for (amount, unit) in [(length.months / 12, 'Y'), (length.months % 12, 'M'), (length.days, 'D')] {
        if amount != 0 {
            let _ = write!(text, "{amount}{unit}");
        }
    }
    if length.micros != 0 {
        text.push('T');
        let (seconds, micros) = (length.micros / SECOND, length.micros % SECOND);
        for (amount, unit) in [(seconds / 3600, 'H'), (seconds % 3600 / 60, 'M')] {
            if amount != 0 {
                let _ = write!(text, "{amount}{unit}");
            }
        }
        if seconds % 60 != 0 || micros != 0 {
            let sign = if length.micros < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{}", (seconds % 60).abs());
            if micros != 0 {
                let _ = write!(text, ".{:06}", micros.abs());
                text.truncate(text.trim_end_matches('0').len());
            }
            text.push('S');
        }
    }
    if text == "P" { "PT0S".to_owned() } else { text }
}

fn iso(text: &str) -> Option<Length> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut rest = text.strip_prefix('P')?;
    let (mut length, mut in_time, mut parts) = (Length::default(), false, 0);
    while !rest.is_empty() {
        if !in_time && let Some(time) = rest.strip_prefix('T') {
            (in_time, rest) = (true, time);
            if rest.is_empty() {
                return None;
            }
            continue;
        }
        let end = rest.find(|char: char| char.is_ascii_alphabetic())?;
        let (amount, unit) = rest.split_at(end);
        let unit = match (in_time, unit.as_bytes()[0]) {
            (false, b'Y') => "year",
            (false, b'M') => "month",
            (false, b'W') => "week",
            (false, b'D') => "day",
            (true, b'H') => "hour",
            (true, b'M') => "minute",
            (true, b'S') => "second",
            _ => return None,
        };
        length.add(amount, unit, negative)?;
        rest = &rest[end + 1..];
        parts += 1;
    }
    (parts > 0).then_some(length)
}

/// Pairs of a number and a unit, and at most one clock such as `-02:30:00.5`.
fn spoken(text: &str) -> Option<Length> {
    let mut length = Length::default();
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    let mut clocks = 0;
    while let Some(word) = words.next() {
        if word.contains(':') {
            clocks += 1;
            let (negative, clock) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
            let mut parts = clock.split(':');
            length.add(parts.next()?, "hour", negative)?;
            for (part, unit) in [(parts.next()?, "minute"), (parts.next().unwrap_or("0"), "second")] {
                let whole = part.split('.').next()?;
                if part.starts_with(['-', '+']) || whole.parse::<u8>().ok()? > 59 {
                    return None;
                }
                length.add(part, unit, negative)?;
            }
            if parts.next().is_some() || clocks > 1 {
                return None;
            }
            continue;
        }
        let unit = match words.next()?.to_ascii_lowercase().as_str() {
            "year" | "years" => "year",
            "mon" | "mons" | "month" | "months" => "month",
            "week" | "weeks" => "week",
            "day" | "days" => "day",
            "hour" | "hours" => "hour",
            "min" | "mins" | "minute" | "minutes" => "minute",
            "sec" | "secs" | "second" | "seconds" => "second",
            _ => return None,
        };
        length.add(word, unit, false)?;
    }
    Some(length)
}

impl Length {
    /// Only seconds may have a fraction: of anything else it would be rounded or spread by rules of the engine.
    fn add(&mut self, amount: &str, unit: &str, negative: bool) -> Option<()> {
        let (minus, digits) = match amount.as_bytes().first()? {
            b'-' => (true, &amount[1..]),
            b'+' => (false, &amount[1..]),
            _ => (false, amount),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let count: i64 = whole.parse().ok()?;
        let micros = fraction.parse::<i64>().ok()? * 10_i64.pow(6 - fraction.len() as u32);
        if micros != 0 && unit != "second" {
            return None;
        }
        let count = if minus != negative { -count } else { count };
        let micros = if minus != negative { -micros } else { micros };
        let (kept, factor) = match unit {
            "year" => (&mut self.months, 12),
            "month" => (&mut self.months, 1),
            "week" => (&mut self.days, 7),
            "day" => (&mut self.days, 1),
            "hour" => (&mut self.micros, 3600 * SECOND),
            "minute" => (&mut self.micros, 60 * SECOND),
            "second" => (&mut self.micros, SECOND),
            _ => return None,
        };
        *kept = kept.checked_add(count.checked_mul(factor)?)?.checked_add(micros)?;
        Some(())
    }
}
