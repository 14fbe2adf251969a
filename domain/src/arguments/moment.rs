//! Dates and times: RFC 3339 in, canonical text out. No calendar is guessed and no digit is rounded away.

use super::{Unfit, string};
use events::IntegrationKind;
use events::skill::Shape;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use serde_json::Value;
use std::fmt::Write;

/// `YYYY-MM-DD`
pub(super) fn date(value: &Value) -> Result<String, Unfit> {
    let unfit = || Unfit::format("A date such as 2026-05-31");
    let text = string(value)?;
    let date = read_date(text.as_bytes()).ok_or_else(unfit)?;
    Ok(date.to_string())
}

/// `HH:MM:SS[.ffffff]`, with an offset only where the column keeps one.
pub(super) fn time(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<String, Unfit> {
    let zoned = shape.native_type.contains("with time zone");
    let unfit = || {
        Unfit::format(if zoned {
            "A time with a zone such as 14:30:00+02:00"
        } else {
            "A time such as 14:30:00"
        })
    };
    let (time, rest) = read_time(string(value)?.as_bytes()).ok_or_else(unfit)?;
    keeps(dialect, shape, time)?;
    let mut text = String::with_capacity(24);
    write_time(&mut text, time);
    match (zoned, read_offset(rest).ok_or_else(unfit)?) {
        (false, None) => Ok(text),
        (true, Some(offset)) => {
            let minutes = offset.seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            let _ = write!(text, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            Ok(text)
        }
        (false, Some(_)) | (true, None) => Err(unfit()),
    }
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]`: with a zone it is converted to UTC, without one taken as it is.
pub(super) fn timestamp(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<String, Unfit> {
    let unfit = || Unfit::format("A date and time such as 2026-05-31T14:30:00");
    let (at, offset) = read_date_time(string(value)?.as_bytes()).ok_or_else(unfit)?;
    let at = match offset {
        Some(offset) => in_utc(at, offset).ok_or_else(unfit)?,
        None => at,
    };
    keeps(dialect, shape, at.time())?;
    in_range(dialect, shape, at)?;
    Ok(write_date_time(at))
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`
pub(super) fn timestamptz(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<String, Unfit> {
    let unfit = || Unfit::format("A date and time with its zone such as 2026-05-31T14:30:00+02:00");
    let (at, offset) = read_date_time(string(value)?.as_bytes()).ok_or_else(unfit)?;
    let at = offset.and_then(|offset| in_utc(at, offset)).ok_or_else(unfit)?;
    keeps(dialect, shape, at.time())?;
    in_range(dialect, shape, at)?;
    let mut text = write_date_time(at);
    text.push('Z');
    Ok(text)
}

fn in_utc(at: DateTime, offset: Offset) -> Option<DateTime> {
    let utc = Offset::UTC.to_datetime(offset.to_timestamp(at).ok()?);
    (1..=9999).contains(&utc.year()).then_some(utc)
}

/// Digits of a second that the column keeps. The engine would round the rest, which can move a day.
fn keeps(dialect: IntegrationKind, shape: &Shape, time: Time) -> Result<(), Unfit> {
    let stated = shape
        .native_type
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(digits, _)| digits.trim().parse::<u32>().ok());
    let digits = stated.unwrap_or(match dialect {
        IntegrationKind::Postgres => 6,
        IntegrationKind::Mysql => 0,
    });
    if time.subsec_nanosecond() % 10_i32.pow(9 - digits.min(9)) == 0 {
        return Ok(());
    }
    Err(Unfit::range(format!("The column keeps {digits} digits of a second.")))
}

/// MySQL's TIMESTAMP counts seconds in 32 bits, from 1.
fn in_range(dialect: IntegrationKind, shape: &Shape, at: DateTime) -> Result<(), Unfit> {
    let counted = match dialect {
        IntegrationKind::Postgres => false,
        IntegrationKind::Mysql => shape.native_type.starts_with("timestamp"),
    };
    let second = Offset::UTC.to_timestamp(at).map(jiff::Timestamp::as_second).unwrap_or_default();
    if counted && !(1..=i64::from(i32::MAX)).contains(&second) {
        return Err(Unfit::range("The column holds 1970-01-01T00:00:01 to 2038-01-19T03:14:07 in UTC."));
    }
    Ok(())
}

fn write_time(text: &mut String, time: Time) {
    let _ = write!(text, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let micros = time.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
}

fn write_date_time(at: DateTime) -> String {
    let mut text = String::with_capacity(28);
    let _ = write!(text, "{:04}-{:02}-{:02}T", at.year(), at.month(), at.day());
    write_time(&mut text, at.time());
    text
}

/// Exactly as many digits.
fn digits(text: &[u8]) -> Option<i16> {
    text.iter().try_fold(0i16, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i16::from(byte - b'0')))
}

fn read_date(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let (year, month, day) = (digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    if year == 0 {
        return None;
    }
    Date::new(year, month as i8, day as i8).ok()
}

/// `HH:MM[:SS[.f…]]` and what follows it.
fn read_time(text: &[u8]) -> Option<(Time, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let (mut second, mut nanos, mut rest) = (0, 0i32, rest);
    if let [b':', s1, s2, after @ ..] = rest {
        second = digits(&[*s1, *s2])?;
        rest = after;
        if let [b'.', after @ ..] = rest {
            let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&count) {
                return None;
            }
            let (fraction, after) = after.split_at(count);
            nanos = fraction.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
            nanos *= 10_i32.pow(9 - count as u32);
            rest = after;
        }
    }
    let time = Time::new(hour as i8, minute as i8, second as i8, nanos).ok()?;
    Some((time, rest))
}

/// Nothing, `Z`, or `±HH:MM`.
fn read_offset(text: &[u8]) -> Option<Option<Offset>> {
    match text {
        [] => Some(None),
        [b'Z' | b'z'] => Some(Some(Offset::UTC)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok().map(Some)
        }
        _ => None,
    }
}

fn read_date_time(text: &[u8]) -> Option<(DateTime, Option<Offset>)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (time, rest) = read_time(rest)?;
    Some((DateTime::from_parts(read_date(date)?, time), read_offset(rest)?))
}
