//! Dates and times: days and microseconds since 2000-01-01.

use super::{Reader, Unreadable};

/// Days from 0000-03-01 to 2000-01-01 in the calendar that is extended backwards.
const EPOCH_FROM_MARCH_OF_YEAR_ZERO: i64 = 730_425;
const DAY_MICROS: i64 = 86_400_000_000;
/// Most fit.
const LENGTH: usize = 32;

pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        days => {
            let mut out = String::with_capacity(LENGTH);
            let era = push_calendar(&mut out, i64::from(days));
            out.push_str(era);
            out
        }
    }
}

/// RFC 3339, with `zone` behind it.
pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        micros => {
            let mut out = String::with_capacity(LENGTH);
            let era = push_calendar(&mut out, micros.div_euclid(DAY_MICROS));
            out.push('T');
            push_clock(&mut out, micros.rem_euclid(DAY_MICROS));
            out.push_str(zone);
            out.push_str(era);
            out
        }
    }
}

/// 24:00:00 is a time as well.
pub(super) fn time(micros: i64) -> Result<String, Unreadable> {
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(Unreadable::Malformed);
    }
    let mut out = String::with_capacity(LENGTH);
    push_clock(&mut out, micros);
    Ok(out)
}

/// ISO 8601 as the engine writes it: each part has its own sign.
pub(super) fn interval(bytes: [u8; 16]) -> Result<String, Unreadable> {
    let mut reader = Reader(&bytes);
    let high = i64::from(reader.i32()?) << 32;
    let micros = high | i64::from(reader.i32()? as u32);
    let days = reader.i32()?;
    let months = reader.i32()?;
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return Ok("infinity".into()),
        (i64::MIN, i32::MIN, i32::MIN) => return Ok("-infinity".into()),
        _ => {}
    }
    let mut out = String::from("P");
    let mut part = |number: i64, unit: char| {
        if number != 0 {
            out.push_str(&format!("{number}{unit}"));
        }
    };
    part(i64::from(months / 12), 'Y');
    part(i64::from(months % 12), 'M');
    part(i64::from(days), 'D');
    if micros != 0 {
        out.push('T');
        let mut part = |number: i64, unit: char| {
            if number != 0 {
                out.push_str(&format!("{number}{unit}"));
            }
        };
        let seconds = micros / 1_000_000;
        part(seconds / 3600, 'H');
        part(seconds / 60 % 60, 'M');
        let rest = micros % 60_000_000;
        if rest != 0 {
            let sign = if rest < 0 { "-" } else { "" };
            let rest = rest.unsigned_abs();
            out.push_str(&format!("{sign}{}", rest / 1_000_000));
            push_fraction(&mut out, rest % 1_000_000);
            out.push('S');
        }
    }
    if out == "P" {
        out.push_str("T0S");
    }
    Ok(out)
}

fn push_clock(out: &mut String, micros: i64) {
    let seconds = micros / 1_000_000;
    push_digits(out, seconds / 3600, 2);
    out.push(':');
    push_digits(out, seconds / 60 % 60, 2);
    out.push(':');
    push_digits(out, seconds % 60, 2);
    push_fraction(out, micros.unsigned_abs() % 1_000_000);
}

/// `.5` for half a second, nothing for none.
fn push_fraction(out: &mut String, micros: u64) {
    if micros != 0 {
        out.push('.');
        push_digits(out, micros.cast_signed(), 6);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// A number of at least so many digits, which is not negative. Formatting them one by one took most of the time of a row.
fn push_digits(out: &mut String, number: i64, digits: usize) {
    let mut backwards = [b'0'; 20];
    let (mut rest, mut length) = (number.unsigned_abs(), 0);
    while rest > 0 || length < digits {
        backwards[length] = b'0' + (rest % 10) as u8;
        (rest, length) = (rest / 10, length + 1);
    }
    out.extend(backwards[..length].iter().rev().map(|digit| char::from(*digit)));
}

/// Year, month and day. Gives what comes last: ` BC` for years before the first, as the engine writes them.
fn push_calendar(out: &mut String, days_since_2000: i64) -> &'static str {
    // Counted from March, a leap day is the last of its year; 400 years always have the same number of days.
    let days = days_since_2000 + EPOCH_FROM_MARCH_OF_YEAR_ZERO;
    let (cycle, day_of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    // There is no year zero: the one before 1 is 1 BC.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    push_digits(out, year, 4);
    out.push('-');
    push_digits(out, month, 2);
    out.push('-');
    push_digits(out, day, 2);
    era
}
