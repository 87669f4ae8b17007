//! JSON merge patches of twins: made for reports, applied to desired properties. Pure.

use serde_json::{Map, Value};

/// The patch that turns `before` into `after`; `None` when they are equal. Removed members
/// are `null` in it.
pub(crate) fn diff(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut patch = Map::new();
    for (name, value) in after {
        match (before.get(name), value) {
            (Some(Value::Object(before)), Value::Object(after)) => {
                if let Some(inner) = diff(before, after) {
                    patch.insert(name.clone(), Value::Object(inner));
                }
            }
            (Some(before), after) if before == after => {}
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    patch.extend(removed.map(|name| (name.clone(), Value::Null)));
    (!patch.is_empty()).then_some(patch)
}

/// Applies a patch: `null` removes a member.
pub(crate) fn apply(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(document.shift_remove(name)),
            Value::Object(inner) => {
                let mut member = match document.shift_remove(name) {
                    Some(Value::Object(member)) => member,
                    _ => Map::new(),
                };
                apply(&mut member, inner);
                document.insert(name.clone(), Value::Object(member));
            }
            scalar => drop(document.insert(name.clone(), scalar.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn only_changes_are_in_the_patch() {
        let before = map(json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": {"x": 1}}));
        let after = map(json!({"a": 1, "b": {"c": 1, "d": 3}, "new": {"y": 1}}));
        let patch = diff(&before, &after).unwrap();
        assert_eq!(
            Value::Object(patch),
            json!({"b": {"d": 3}, "new": {"y": 1}, "gone": null})
        );
        assert_eq!(diff(&after, &after), None);
    }

    #[test]
    fn a_patch_adds_replaces_and_removes() {
        let mut document = map(json!({"a": {"b": 1, "c": 2}, "d": 3}));
        let patch = map(json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": {"h": 1}}));
        apply(&mut document, &patch);
        assert_eq!(
            Value::Object(document),
            json!({"a": {"c": 2, "e": {"g": 1}}, "d": {"h": 1}})
        );
    }

    /// Documents without `null`, as twins are.
    fn document() -> impl Strategy<Value = Map<String, Value>> {
        let scalar = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        let value = scalar.prop_recursive(3, 16, 4, |inner| {
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        });
        prop::collection::btree_map("[a-d]", value, 0..4)
            .prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_second_document(a in document(), b in document()) {
            let mut patched = a.clone();
            if let Some(patch) = diff(&a, &b) {
                apply(&mut patched, &patch);
            }
            prop_assert_eq!(patched, b);
        }
    }
}
