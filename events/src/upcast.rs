//! From the shape of an old version to today's, one pure step a version.
//!
//! A step turns the data of `version` into what `version + 1` would have written. It reads nothing but its argument
//! and stays for ever: the log keeps the old bytes.

use serde_json::Value;

/// Fails with a sentence when the data is not of the version that it claims.
pub type Step = fn(Value) -> Result<Value, String>;

/// Event name, the version it starts from, the step.
const STEPS: &[(&str, u32, Step)] = &[("KeyMinted", 1, forget_the_name)];

/// Version 1 held the key's name, which may be a person's.
fn forget_the_name(mut data: Value) -> Result<Value, String> {
    data.as_object_mut().ok_or("not an object")?.remove("name");
    Ok(data)
}

/// The steps from `version` to `current`, in order. None when one is missing, or `version` is not below `current`:
/// the event was written by a newer release, or by something that is not Bindery.
pub fn steps(name: &str, version: u32, current: u32) -> Option<Vec<Step>> {
    climb(STEPS, name, version, current)
}

fn climb(steps: &[(&str, u32, Step)], name: &str, version: u32, current: u32) -> Option<Vec<Step>> {
    if version >= current {
        return None;
    }
    let step = |from| steps.iter().find(|(of, at, _)| *of == name && *at == from).map(|(_, _, step)| *step);
    (version..current).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RENAMED: &[(&str, u32, Step)] = &[
        ("Named", 1, |mut data| {
            data["label"] = data["title"].take();
            data.as_object_mut().ok_or("not an object")?.remove("title");
            Ok(data)
        }),
        ("Named", 2, |data| Ok(json!({ "labels": [data["label"]] }))),
    ];

    #[test]
    fn steps_are_taken_one_version_at_a_time() {
        let steps = climb(RENAMED, "Named", 1, 3).expect("both steps");
        let data = steps.iter().try_fold(json!({ "title": "x" }), |data, step| step(data));
        assert_eq!(data, Ok(json!({ "labels": ["x"] })));
        assert_eq!(climb(RENAMED, "Named", 2, 3).map(|steps| steps.len()), Some(1));
    }

    #[test]
    fn a_missing_step_is_noticed_before_any_is_taken() {
        assert!(climb(RENAMED, "Named", 1, 4).is_none());
        assert!(climb(RENAMED, "Named", 0, 3).is_none());
        assert!(climb(RENAMED, "Other", 1, 2).is_none());
    }

    #[test]
    fn a_version_of_the_future_has_no_steps() {
        assert!(climb(RENAMED, "Named", 4, 3).is_none());
    }
}
