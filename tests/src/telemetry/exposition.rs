//! Prometheus' text format, read by its rules: who breaks one is told which.

use std::collections::BTreeMap;

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub struct Exposition {
    pub families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    /// Name, labels and value, as they stand.
    pub samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    /// # Panics
    /// When it is not well-formed.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends too");
        let mut all = Self::default();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                assert!(!all.families.contains_key(name), "{name} is told of in one place: {line}");
                current = name.to_owned();
                let family = Family { help: help.to_owned(), ..Family::default() };
                all.families.insert(current.clone(), family);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                assert_eq!(name, current, "the type follows the help");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                all.families.get_mut(name).expect("it has a help").kind = kind.to_owned();
            } else {
                let (name, labels, value) = sample(line);
                let family = all.families.get_mut(&current).unwrap_or_else(|| panic!("of no family: {line}"));
                let suffixes: &[&str] =
                    if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                let belongs = suffixes.iter().any(|suffix| name == format!("{current}{suffix}"));
                assert!(belongs, "{line} in {current}, a {}", family.kind);
                let same = |(known, other, _): &&(String, Labels, f64)| *known == name && *other == labels;
                assert!(!family.samples.iter().any(|it| same(&it)), "twice: {line}");
                family.samples.push((name, labels, value));
            }
        }
        all.families.iter().for_each(|(name, family)| family.check(name));
        all
    }

    /// The sum of the samples of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has =
            |of: &Labels| labels.iter().all(|(name, value)| of.get(*name).is_some_and(|it| it == value));
        let samples = self.families.values().flat_map(|family| &family.samples);
        samples.filter(|(known, of, _)| known == name && has(of)).map(|(_, _, value)| value).sum()
    }
}

impl Family {
    fn check(&self, name: &str) {
        assert!(!self.help.is_empty(), "{name} says what it is");
        if self.kind == "counter" {
            assert!(name.ends_with("_total"), "{name}");
            assert!(self.samples.iter().all(|(_, _, value)| *value >= 0.0), "{name}");
        }
        if self.kind != "histogram" {
            return;
        }
        assert!(name.ends_with("_seconds"), "{name} is measured in a base unit");
        let mut series = BTreeMap::<Labels, Vec<(f64, f64)>>::new();
        for (_, labels, value) in self.samples.iter().filter(|(sample, ..)| sample.ends_with("_bucket")) {
            let mut of = labels.clone();
            let le = of.remove("le").expect("a bucket has a bound");
            let le = if le == "+Inf" { f64::INFINITY } else { le.parse().expect("a number") };
            series.entry(of).or_default().push((le, *value));
        }
        for (labels, buckets) in series {
            let rising = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
            assert!(rising, "the buckets of {name} rise: {buckets:?}");
            let last = buckets.last().expect("there is one");
            assert_eq!(last.0, f64::INFINITY, "{name}");
            let count =
                |(sample, of, _): &&(String, Labels, f64)| sample.ends_with("_count") && *of == labels;
            let count = self.samples.iter().find(count).unwrap_or_else(|| panic!("{name} has a count"));
            assert_eq!(count.2, last.1, "{name}");
        }
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let is_name = |text: &str, others: &[char]| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || others.contains(&c);
        !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(good)
    };
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, inside) = match head.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("open: {line}"))),
        None => (head, ""),
    };
    assert!(is_name(name, &[':']), "{line}");
    let mut labels = Labels::new();
    let mut rest = inside;
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(is_name(label, &[]), "{line}");
        let (text, after) = quoted(after).unwrap_or_else(|| panic!("an open quote: {line}"));
        assert!(labels.insert(label.to_owned(), text).is_none(), "{label} twice: {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    (name.to_owned(), labels, value)
}

/// The text up to the closing quote, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}
