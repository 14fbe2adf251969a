//! The number that calls, in E.164, however the platform wrote it: one caller has one value, whatever trunk the call
//! came by, and it is the one that stands in a column of such numbers.

use domain::FieldError;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use std::borrow::Cow;

/// Digits of a number in E.164, its country code among them. There is no shortest; shorter ones are looked up.
const SHORT: usize = 7;
const LONGEST: usize = 15;

/// What people and RFC 3966 put between digits.
const SEPARATORS: [char; 6] = [' ', '-', '.', '(', ')', '/'];

/// What stands in the place of a number that the caller withholds, or that a network did not pass on, as letters alone.
const WITHHELD: [&str; 15] = [
    "anonymous",
    "blocked",
    "callerunknown",
    "hidden",
    "nocallerid",
    "none",
    "notavailable",
    "numberwithheld",
    "outofarea",
    "private",
    "privatenumber",
    "restricted",
    "unavailable",
    "unknown",
    "withheld",
];

/// Where only a number fits, Twilio writes such words on a telephone's keys: ANONYMOUS, BLOCKED, RESTRICTED,
/// UNAVAILABLE and UNKNOWN. All who withhold theirs would be the same caller.
const WITHHELD_ON_KEYS: [&str; 5] = ["+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696"];

/// The number in E.164; none when it is withheld. `region` is where a number without a country code was dialled.
///
/// # Errors
/// With its field, when there is no number in it or no way to tell from which country.
pub fn in_e164<'t>(written: &'t str, region: Option<&str>) -> Result<Option<Cow<'t, str>>, FieldError> {
    if WITHHELD_ON_KEYS.contains(&written) {
        return Ok(None);
    }
    if is_e164(written) {
        return Ok(Some(Cow::Borrowed(written)));
    }
    let address = Address::of(written);
    if address.is_withheld() || address.is_a_name() {
        return Ok(None);
    }
    let plain = address.user.replace(SEPARATORS, "");
    let number = if is_e164(&plain) { plain } else { looked_up(&address, region)? };
    Ok(Some(Cow::Owned(number)))
}

/// What has the shape needs no library, which takes as long as a fifth of a call. But for a zero behind the country
/// code: mostly it is the prefix of calls inside of the country, which nobody took off.
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+').map(str::as_bytes) else { return false };
    (SHORT..=LONGEST).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0'
        && digits[country_code_digits(digits[0], digits[1])] != b'0'
}

/// As the ITU gave them out: no code begins another.
fn country_code_digits(first: u8, second: u8) -> usize {
    match (first, second) {
        (b'1' | b'7', _) => 1,
        (b'2', b'0' | b'7')
        | (b'3', b'0'..=b'4' | b'6' | b'9')
        | (b'4', b'0' | b'1' | b'3'..=b'9')
        | (b'5', b'1'..=b'8')
        | (b'6', b'0'..=b'6')
        | (b'8', b'1' | b'2' | b'4' | b'6')
        | (b'9', b'0'..=b'5' | b'8') => 2,
        _ => 3,
    }
}

/// What is left of `"Ada" <sip:+4930…@host;user=phone>` or `tel:+49-30-…;ext=7`.
struct Address<'t> {
    /// What would be dialled.
    user: Cow<'t, str>,
    host: Option<&'t str>,
}

impl<'t> Address<'t> {
    fn of(written: &'t str) -> Self {
        let within = written.rsplit_once('<').map_or(written, |(_, address)| address);
        let within = within.split('>').next().unwrap_or_default().trim();
        let scheme = within.split_once(':').filter(|(scheme, _)| {
            ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        });
        let without = scheme.map_or(within, |(_, rest)| rest);
        let (user, host) = match without.split_once('@') {
            Some((user, host)) => (user, Some(host.split([';', '?', ':']).next().unwrap_or_default())),
            None => (without, None),
        };
        // Of the parameters behind a number only one belongs to it, where it is not whole without.
        let whole =
            if user.contains("phone-context=") { user.len() } else { user.find(';').unwrap_or(user.len()) };
        let user = &user[..whole];
        let user = if user.contains('%') {
            Cow::Owned(user.replace("%2B", "+").replace("%2b", "+"))
        } else {
            Cow::Borrowed(user)
        };
        Self { user, host }
    }

    /// Nothing of a host below `.invalid` says who calls: RFC 3323 and 3GPP put withheld numbers there.
    fn is_withheld(&self) -> bool {
        let letters: String =
            self.user.chars().filter(|it| it.is_alphabetic()).flat_map(char::to_lowercase).collect();
        let has_digits = self.user.contains(|it: char| it.is_ascii_digit());
        !has_digits && WITHHELD.contains(&letters.as_str())
            || WITHHELD_ON_KEYS.contains(&self.user.as_ref())
            || self.host.is_some_and(|host| host.to_ascii_lowercase().ends_with(".invalid"))
    }

    /// Who calls from an application has an address, and no number.
    fn is_a_name(&self) -> bool {
        self.host.is_some()
            && !self.user.contains(';')
            && self.user.contains(|it: char| it.is_ascii_alphabetic())
    }
}

fn looked_up(address: &Address<'_>, region: Option<&str>) -> Result<String, FieldError> {
    let user = &address.user;
    let number =
        if user.contains(';') { Cow::Owned(format!("tel:{user}")) } else { Cow::Borrowed(user.as_ref()) };
    if let Some(known) = possible(&number, None) {
        return Ok(known);
    }
    if let Some(region) = region {
        let Some(region) = parsed(region) else {
            let message = "must be the two letters of a country in ISO 3166-1, such as DE";
            return Err(FieldError::new("context.callerRegion", "unknown_region", message));
        };
        if let Some(known) = possible(&number, Some(region)) {
            return Ok(known);
        }
    }
    // Networks write the prefix for calls abroad that most countries have, whatever country it is.
    if let Some(known) = number.strip_prefix("00").and_then(|rest| possible(&format!("+{rest}"), None)) {
        return Ok(known);
    }
    let field = "context.callerPhone";
    let digits = user.chars().filter(char::is_ascii_digit).count();
    Err(if region.is_none() && digits >= SHORT && !user.starts_with('+') {
        let message =
            "has no country code: send it as +493012345678, or where it was dialled in context.callerRegion";
        FieldError::new(field, "no_country_code", message)
    } else {
        let message = "must be a phone number, such as +493012345678, tel:+49-30-12345678 or \
                       sip:+493012345678@host; for one that is withheld send anonymous, or leave it out";
        FieldError::new(field, "not_a_phone_number", message)
    })
}

fn parsed(region: &str) -> Option<Region> {
    let is_code = region.len() == 2 && region.bytes().all(|it| it.is_ascii_alphabetic());
    let region = region.to_ascii_uppercase().parse().ok().filter(|_| is_code)?;
    // Every two letters are one to the parser.
    PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == region).then_some(region)
}

/// A number whose length is one of its country's. Whether anybody has it is not known: ranges are given out faster
/// than any list of them is.
fn possible(text: &str, region: Option<Region>) -> Option<String> {
    let number = PHONE_NUMBER_UTIL.parse(text, region).ok()?;
    PHONE_NUMBER_UTIL
        .is_possible_number(&number)
        .then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

#[cfg(test)]
#[path = "caller_phone_tests.rs"]
mod tests;
