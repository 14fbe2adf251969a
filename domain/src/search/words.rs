//! Names and questions as words.

/// English words that say nothing about what is sought.
const STOP: &[&str] = &[
    "a", "all", "an", "and", "any", "are", "as", "at", "be", "by", "can", "do", "does", "find", "for",
    "from", "get", "give", "has", "have", "how", "i", "in", "is", "it", "its", "list", "look", "me", "my",
    "of", "on", "or", "our", "s", "show", "that", "the", "their", "them", "they", "this", "to", "up", "was",
    "we", "what", "when", "where", "which", "who", "whose", "with", "you", "your",
];

/// Calls `each` with every word of a text, lower-case and singular. Words end at anything that is no letter or
/// digit, between a small and a capital letter, at the last capital of a run (`HTTPServer`), and between letters
/// and digits.
pub fn words(text: &str, mut each: impl FnMut(String)) {
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    let mut last: Option<char> = None;
    while let Some(char) = chars.next() {
        let breaks = last.is_some_and(|last| {
            (last.is_lowercase() && char.is_uppercase())
                || (last.is_uppercase()
                    && char.is_uppercase()
                    && chars.peek().is_some_and(|next| next.is_lowercase()))
                || last.is_numeric() != char.is_numeric()
        });
        if (breaks || !char.is_alphanumeric()) && !word.is_empty() {
            each(singular(&std::mem::take(&mut word)));
        }
        if char.is_alphanumeric() {
            word.extend(char.to_lowercase());
            last = Some(char);
        } else {
            last = None;
        }
    }
    if !word.is_empty() {
        each(singular(&word));
    }
}

/// The words of a question: without the ones that say nothing, unless there are no others.
pub fn question(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    words(text, |word| {
        if !all.contains(&word) {
            all.push(word);
        }
    });
    if all.iter().any(|word| !is_stop(word)) {
        all.retain(|word| !is_stop(word));
    }
    all
}

pub(crate) fn is_stop(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// Of an English plural, also as the last part of `order_items`; of any other word, the word.
pub fn singular(word: &str) -> String {
    let irregular = [("people", "person"), ("children", "child"), ("men", "man"), ("indices", "index")];
    for (plural, one) in irregular {
        if let Some(stem) = word.strip_suffix(plural)
            && (stem.is_empty() || stem.ends_with(['_', '.', ' ']) || plural == "men" && stem.ends_with("wo"))
        {
            return format!("{stem}{one}");
        }
    }
    let unchanged = ["news", "series", "species", "sms", "gps", "sos", "basis", "analysis", "always"];
    let last = word.rsplit(['_', '.', ' ']).next().unwrap_or(word);
    if last.len() < 4 && !matches!(last, "ids") || unchanged.contains(&last) {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies") {
        let short = last.len() < 5;
        return if short { format!("{stem}ie") } else { format!("{stem}y") };
    }
    for ending in ["sses", "shes", "ches", "xes", "zzes", "uses"] {
        if word.ends_with(ending) && !last.ends_with("houses") && !last.ends_with("causes") {
            return word[..word.len() - 2].to_owned();
        }
    }
    if word.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) {
        return word[..word.len() - 1].to_owned();
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(text, |word| all.push(word));
        all
    }

    #[test]
    fn names_of_every_habit_are_split_into_words() {
        assert_eq!(split("customer_phoneNumber2"), ["customer", "phone", "number", "2"]);
        assert_eq!(split("HTTPServerID"), ["http", "server", "id"]);
        assert_eq!(split("Größe-Einheit"), ["größe", "einheit"]);
        assert_eq!(split("__"), Vec::<String>::new());
    }

    #[test]
    fn plurals_become_singular_and_other_words_stay() {
        let pairs = [
            ("patients", "patient"),
            ("categories", "category"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("people", "person"),
            ("women", "woman"),
            ("statuses", "status"),
            ("order_items", "order_item"),
            ("sales.people", "sales.person"),
            ("houses", "house"),
            ("invoices", "invoice"),
            ("ties", "tie"),
            ("address", "address"),
            ("status", "status"),
            ("news", "news"),
            ("bus", "bus"),
            ("ids", "id"),
            ("specimen", "specimen"),
        ];
        for (plural, one) in pairs {
            assert_eq!(singular(plural), one, "{plural}");
        }
    }

    #[test]
    fn a_question_keeps_the_words_that_say_something() {
        assert_eq!(question("what is the phone of a patient?"), ["phone", "patient"]);
        assert_eq!(question("who"), ["who"]);
    }

    #[test]
    fn stop_words_are_sorted_for_the_search_in_them() {
        assert!(STOP.is_sorted());
    }
}
