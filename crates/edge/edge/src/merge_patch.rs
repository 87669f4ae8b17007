//! What changed in what the device reports. Pure.

use serde_json::{Map, Value};

/// The merge patch that turns `reported` into `current`; `None` when they are equal. Members that are gone become `null`.
#[must_use]
pub fn difference(
    reported: &Map<String, Value>,
    current: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut patch = Map::new();
    for (name, value) in current {
        match (reported.get(name), value) {
            (Some(Value::Object(before)), Value::Object(after)) => {
                if let Some(inner) = difference(before, after) {
                    patch.insert(name.clone(), Value::Object(inner));
                }
            }
            (Some(before), after) if before == after => {}
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    let gone = reported.keys().filter(|name| !current.contains_key(*name));
    patch.extend(gone.map(|name| (name.clone(), Value::Null)));
    (!patch.is_empty()).then_some(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn only_what_changed_is_in_the_patch() {
        let before = map(json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": {"x": 1}}));
        let after = map(json!({"a": 1, "b": {"c": 1, "d": 3}, "new": {"y": 1}}));
        let patch = difference(&before, &after).unwrap();
        assert_eq!(
            Value::Object(patch),
            json!({"b": {"d": 3}, "new": {"y": 1}, "gone": null})
        );
        assert_eq!(difference(&after, &after), None);
    }
}
