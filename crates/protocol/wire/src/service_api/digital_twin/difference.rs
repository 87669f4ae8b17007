use serde_json::{Map, Value, json};

use crate::twin::METADATA;

/// The JSON patch that makes one digital twin of another: properties and components whole,
/// metadata member by member, as the hub's events have it. Empty when they are the same.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> Vec<Value> {
    let mut operations = Vec::new();
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        members("", (before, after), false, &mut operations);
    }
    operations
}

/// What differs in an object at a path; `in_metadata` when that is `$metadata` or within it.
fn members(
    path: &str,
    (before, after): (&Map<String, Value>, &Map<String, Value>),
    in_metadata: bool,
    operations: &mut Vec<Value>,
) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        operations.push(json!({"op": "remove", "path": member(path, name)}));
    }
    for (name, new) in after {
        let path = member(path, name);
        match (before.get(name), new) {
            (None, new) => operations.push(json!({"op": "add", "path": path, "value": new})),
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new))
                if in_metadata || name == METADATA || is_component(old, new) =>
            {
                let values_of_metadata = in_metadata || name == METADATA;
                members(&path, (old, new), values_of_metadata, operations);
            }
            (Some(_), new) => operations.push(json!({"op": "replace", "path": path, "value": new})),
        }
    }
}

fn is_component(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    old.contains_key(METADATA) && new.contains_key(METADATA)
}

fn member(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_a_json_patch() {
        let before = json!({"$dtId": "d1", "temp": 20, "place": {"x": 1},
            "t1": {"max": 1, "$metadata": {"max": {"lastUpdateTime": "a"}}},
            "$metadata": {"$model": "", "temp": {"lastUpdateTime": "a"}, "old": {}}});
        let after = json!({"$dtId": "d1", "temp": 21, "place": {"x": 2}, "a/b~": true,
            "t1": {"max": 2, "$metadata": {"max": {"lastUpdateTime": "b"}}},
            "t2": {"max": 3, "$metadata": {}},
            "$metadata": {"$model": "", "temp": {"lastUpdateTime": "b", "ackCode": 200},
                "a/b~": {}}});
        let expected = json!([
            {"op": "replace", "path": "/temp", "value": 21},
            {"op": "replace", "path": "/place", "value": {"x": 2}},
            {"op": "add", "path": "/a~1b~0", "value": true},
            {"op": "replace", "path": "/t1/max", "value": 2},
            {"op": "replace", "path": "/t1/$metadata/max/lastUpdateTime", "value": "b"},
            {"op": "add", "path": "/t2", "value": {"max": 3, "$metadata": {}}},
            {"op": "remove", "path": "/$metadata/old"},
            {"op": "replace", "path": "/$metadata/temp/lastUpdateTime", "value": "b"},
            {"op": "add", "path": "/$metadata/temp/ackCode", "value": 200},
            {"op": "add", "path": "/$metadata/a~1b~0", "value": {}},
        ]);
        assert_eq!(Value::Array(difference(&before, &after)), expected);
        assert_eq!(difference(&after, &after), Vec::<Value>::new());
    }
}
