//! The valid names closest to one that is not.

use crate::limits::NEAREST;

/// At most [`NEAREST`] of `names`, best first; names that share nothing with `given` are left out.
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let given = given.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let contained = !given.is_empty() && (lower.contains(&given) || given.contains(&lower));
            (strsim::jaro_winkler(&given, &lower) + if contained { 0.2 } else { 0.0 }, name)
        })
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.truncate(NEAREST);
    scored.into_iter().map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_the_name_that_was_meant_first() {
        assert_eq!(nearest("patinets", ["invoices", "patients", "practitioners"])[0], "patients");
    }

    #[test]
    fn a_name_like_nothing_else_gets_no_suggestion() {
        assert!(nearest("zzz", ["patients", "invoices"]).is_empty());
    }
}
