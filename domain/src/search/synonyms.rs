//! Words and abbreviations that mean the same in databases, each group with its plain word first.

use std::collections::HashMap;
use std::sync::LazyLock;

/// All in singular and small letters.
const GROUPS: &[&[&str]] = &[
    &["account", "acct", "acc"],
    &["address", "addr", "street"],
    &["amount", "amt", "sum", "total", "tot"],
    &["appointment", "appt", "booking", "reservation", "visit", "slot"],
    &["average", "avg", "mean"],
    &["balance", "bal"],
    &["birth", "dob", "birthday", "birthdate", "born"],
    &["category", "cat", "genre", "class"],
    &["city", "town"],
    &["company", "organization", "organisation", "org", "firm", "business"],
    &["count", "cnt", "number", "num", "nbr", "qty", "quantity"],
    &["country", "nation"],
    &["created", "inserted", "added"],
    &["currency", "curr", "ccy"],
    &["customer", "cust", "client", "buyer"],
    &["date", "dt", "day"],
    &["delivery", "shipment", "shipping", "dispatch"],
    &["department", "dept"],
    &["description", "desc", "descr", "detail"],
    &["discount", "rebate"],
    &["doctor", "doc", "physician", "practitioner", "provider", "clinician"],
    &["document", "doc", "file"],
    &["email", "mail"],
    &["employee", "emp", "staff", "worker", "agent"],
    &["end", "finish", "until"],
    &["family", "surname", "lname", "lastname", "last"],
    &["first", "fname", "firstname", "given", "forename"],
    &["gender", "sex"],
    &["id", "identifier", "key", "code"],
    &["image", "img", "picture", "photo"],
    &["invoice", "inv", "bill"],
    &["language", "lang", "locale"],
    &["loan", "credit"],
    &["location", "loc", "place", "site"],
    &["manager", "mgr", "supervisor", "boss"],
    &["message", "msg"],
    &["name", "nm", "title", "label"],
    &["note", "comment", "remark", "memo"],
    &["number", "no", "nr"],
    &["order", "ord", "purchase"],
    &["patient", "pt", "pat"],
    &["payment", "pmt", "pay", "paid"],
    &["percent", "pct"],
    &["phone", "tel", "telephone", "mobile", "cell", "msisdn", "fax"],
    &["price", "cost", "rate", "fee", "charge"],
    &["product", "prod", "item", "article", "sku", "good"],
    &["reference", "ref"],
    &["room", "rm"],
    &["song", "track"],
    &["start", "begin", "since", "opening"],
    &["state", "status", "stat", "province", "region"],
    &["stock", "inventory", "warehouse"],
    &["supplier", "vendor"],
    &["teacher", "instructor", "tutor"],
    &["ticket", "case", "issue"],
    &["time", "timestamp", "ts", "hour"],
    &["transaction", "txn", "trx", "tx"],
    &["type", "typ", "kind"],
    &["updated", "modified", "changed"],
    &["user", "usr", "member", "login"],
    &["vehicle", "car", "auto"],
    &["year", "yr"],
    &["zip", "postal", "postcode", "plz"],
];

static BY_WORD: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut by_word: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, group) in GROUPS.iter().enumerate() {
        for word in *group {
            by_word.entry(word).or_default().push(at);
        }
    }
    by_word
});

/// Other words that may be meant by this one.
pub fn synonyms(word: &str) -> impl Iterator<Item = &'static str> {
    let groups = BY_WORD.get(word).map(Vec::as_slice).unwrap_or_default();
    groups.iter().flat_map(|at| GROUPS[*at]).copied().filter(move |other| *other != word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::words::singular;

    #[test]
    fn every_word_stands_as_names_are_split() {
        for word in GROUPS.iter().copied().flatten() {
            assert_eq!(singular(word), *word);
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()));
        }
    }

    #[test]
    fn an_abbreviation_means_all_words_that_it_stands_for() {
        let meant: Vec<&str> = synonyms("doc").collect();
        assert!(meant.contains(&"doctor") && meant.contains(&"document"));
        assert_eq!(synonyms("xylophone").count(), 0);
    }
}
