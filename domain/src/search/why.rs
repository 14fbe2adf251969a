//! Says which words of a question led to a hit.

use super::alike::{How, alike, typo};
use super::{Index, words};
use crate::catalog::{Field, Object};
use schemars::JsonSchema;
use serde::Serialize;

/// One word of a question and what it was found as.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Why {
    /// Of the question, in singular.
    pub word: String,
    /// Of the schema.
    pub matched: String,
    pub how: How,
    pub place: Place,
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Name,
    Comment,
    /// In the name of the table whose column was found.
    ObjectName,
    ObjectComment,
}

impl Index {
    pub(super) fn why(&self, object: &Object, field: Option<&Field>, asked: &[String]) -> Vec<Why> {
        let comment = |text: &Option<String>| {
            let mut all = Vec::new();
            words(text.as_deref().unwrap_or_default(), |word| all.push(word));
            all
        };
        let name = |name: &str| {
            let mut all = self.name_words(name);
            words(name, |word| all.push(word));
            all
        };
        let places = match field {
            None => vec![(Place::Name, name(&object.name)), (Place::Comment, comment(&object.comment))],
            Some(field) => vec![
                (Place::Name, name(&field.name)),
                (Place::Comment, comment(&field.comment)),
                (Place::ObjectName, name(&object.name)),
                (Place::ObjectComment, comment(&object.comment)),
            ],
        };
        asked.iter().filter_map(|word| best(word, &places)).collect()
    }
}

/// The strongest way in which a word occurs; the first place of equal ones.
fn best(word: &str, places: &[(Place, Vec<String>)]) -> Option<Why> {
    let mut best: Option<Why> = None;
    for (place, words) in places {
        for matched in words {
            let how = alike(word, matched).or_else(|| typo(word, matched).then_some(How::Typo));
            if let Some(how) = how
                && best.as_ref().is_none_or(|best| how.weight() > best.how.weight())
            {
                best = Some(Why { word: word.to_owned(), matched: matched.clone(), how, place: *place });
            }
        }
    }
    best
}
