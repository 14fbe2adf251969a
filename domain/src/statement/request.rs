//! What a client sends.

use super::check::Plan;
use events::skill::{Binding, Direction, Input, OrderBy, Projected, Source};

/// What the authenticated context of a call can supply, as parameters with `source: caller` name it.
pub const CALLER_PARAMETERS: [&str; 4] = ["call_id", "caller_phone", "tool_call_id", "verified_identity"];

/// A binding as it came from the client: everything is still text and may be wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub operation: String,
    pub inputs: Vec<RequestInput>,
    pub projection: Vec<Projected>,
    pub order_by: Vec<(String, Direction)>,
    pub limit: Option<u32>,
    pub key_column: Option<String>,
    pub key_param: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestInput {
    pub param: String,
    pub arg: String,
    /// True when it is not said: an agent that asks once too often is better than a row half filled.
    pub required: Option<bool>,
    pub description: Option<String>,
    pub source: Source,
    pub value: Option<serde_json::Value>,
}

impl RequestInput {
    pub(super) fn is_required(&self) -> bool {
        self.required.unwrap_or(true)
    }
}

impl Request {
    /// As its author wrote it, with what was left out filled in.
    pub(super) fn binding(&self, plan: &Plan) -> Binding {
        let input = |input: &RequestInput| Input {
            param: input.param.clone(),
            arg: input.arg.clone(),
            required: input.is_required(),
            description: input.description.clone(),
            source: input.source,
            value: input.value.clone(),
        };
        let order = |(column, direction): &(String, Direction)| OrderBy {
            column: column.clone(),
            direction: *direction,
        };
        Binding {
            operation: self.operation.clone(),
            inputs: self.inputs.iter().map(input).collect(),
            projection: self.projection.clone(),
            order_by: self.order_by.iter().map(order).collect(),
            limit: plan.limit,
            key_column: self.key_column.clone(),
            key_param: self.key_param.clone(),
        }
    }
}

impl From<&Binding> for Request {
    /// The request that a checked binding came from, so that a review can compile it again.
    fn from(binding: &Binding) -> Self {
        let input = |input: &Input| RequestInput {
            param: input.param.clone(),
            arg: input.arg.clone(),
            required: Some(input.required),
            description: input.description.clone(),
            source: input.source,
            value: input.value.clone(),
        };
        Self {
            operation: binding.operation.clone(),
            inputs: binding.inputs.iter().map(input).collect(),
            projection: binding.projection.clone(),
            order_by: binding.order_by.iter().map(|order| (order.column.clone(), order.direction)).collect(),
            limit: Some(binding.limit),
            key_column: binding.key_column.clone(),
            key_param: binding.key_param.clone(),
        }
    }
}

/// Longest tool name in characters.
pub const SLUG_MAX: usize = 40;

/// A tool's name as models take it, `^[a-zA-Z][a-zA-Z0-9_-]{0,39}$`: a name that fits stays as it is, every other
/// one becomes small letters with one `_` for whatever does not fit. `None` when nothing is left.
pub fn slug(name: &str) -> Option<String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    if name.len() <= SLUG_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(fits)
    {
        return Some(name.to_owned());
    }
    let mut slug = String::with_capacity(SLUG_MAX);
    for char in name.chars() {
        if slug.len() == SLUG_MAX {
            break;
        }
        if slug.is_empty() && !char.is_ascii_alphabetic() {
            continue;
        }
        if fits(char) {
            slug.push(char.to_ascii_lowercase());
        } else if !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.truncate(slug.trim_end_matches(['_', '-']).len());
    (!slug.is_empty()).then_some(slug)
}

/// `^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`
pub(super) fn is_parameter_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// `^[a-z][a-z0-9_]{0,63}$`
pub(super) fn is_leaf_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_is_its_own_slug() {
        assert_eq!(slug("findPatient-2").as_deref(), Some("findPatient-2"));
    }

    #[test]
    fn other_names_become_small_letters_and_underscores() {
        assert_eq!(slug("  Find the patient (by phone)! ").as_deref(), Some("find_the_patient_by_phone"));
        assert_eq!(slug("2nd try").as_deref(), Some("nd_try"));
        assert_eq!(slug(&"a b".repeat(40)).map(|slug| slug.len()), Some(40));
        assert_eq!(slug("Wörter").as_deref(), Some("w_rter"));
    }

    #[test]
    fn a_name_without_letters_has_no_slug() {
        for name in ["", "123", "日本", "___"] {
            assert_eq!(slug(name), None, "{name}");
        }
    }
}
