//! `/digitaltwins/{id}`: the twin of a Plug and Play device, by the conventions of its properties.
//!
//! Properties of a component are in an object with `"__t": "c"`. A device acknowledges a writable
//! property by reporting `{value, ac, av, ad}`.

use serde_json::{Map, Value, json};

use crate::lenient::BodyError;
use crate::twin::{METADATA, Section};

mod difference;

pub use difference::difference;

/// The member that marks a component.
const MARK: &str = "__t";
/// Most operations of a patch.
const MAX_OPERATIONS: usize = 100;

/// The digital twin: reported values, and about each of them what is desired and acknowledged.
#[must_use]
pub fn document(id: &str, model: &str, desired: &Section, reported: &Section) -> Value {
    let (wanted, given) = (&desired.properties, &reported.properties);
    let mut metadata = Map::from_iter([("$model".to_owned(), json!(model))]);
    let mut twin = Map::from_iter([("$dtId".to_owned(), json!(id))]);
    let context = Context {
        version: desired.version,
        reported: &reported.metadata,
    };
    for name in names(wanted, given) {
        let (wanted, given) = (wanted.get(name), given.get(name));
        if is_component(wanted) || is_component(given) {
            let inside = context.of(name);
            twin.insert(name.clone(), component(wanted, given, &inside));
        } else {
            property((&mut twin, &mut metadata), name, (wanted, given), &context);
        }
    }
    twin.insert(METADATA.to_owned(), Value::Object(metadata));
    Value::Object(twin)
}

/// Where metadata comes from.
struct Context<'a> {
    /// `$version` of the desired properties.
    version: u64,
    reported: &'a Value,
}

impl<'a> Context<'a> {
    fn of(&self, name: &str) -> Self {
        Self {
            version: self.version,
            reported: &self.reported[name],
        }
    }
}

fn names<'a>(
    wanted: &'a Map<String, Value>,
    given: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    let only_wanted = wanted.keys().filter(|name| !given.contains_key(*name));
    given.keys().chain(only_wanted)
}

fn is_component(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value[MARK] == "c")
}

fn component(wanted: Option<&Value>, given: Option<&Value>, context: &Context<'_>) -> Value {
    let empty = Map::new();
    let wanted = wanted.and_then(Value::as_object).unwrap_or(&empty);
    let given = given.and_then(Value::as_object).unwrap_or(&empty);
    let (mut twin, mut metadata) = (Map::new(), Map::new());
    for name in names(wanted, given).filter(|name| *name != MARK) {
        let both = (wanted.get(name), given.get(name));
        property((&mut twin, &mut metadata), name, both, context);
    }
    twin.insert(METADATA.to_owned(), Value::Object(metadata));
    Value::Object(twin)
}

fn property(
    (twin, metadata): (&mut Map<String, Value>, &mut Map<String, Value>),
    name: &str,
    (wanted, given): (Option<&Value>, Option<&Value>),
    context: &Context<'_>,
) {
    let mut about = Map::new();
    if let Some(wanted) = wanted {
        about.insert("desiredValue".to_owned(), wanted.clone());
        about.insert("desiredVersion".to_owned(), json!(context.version));
    }
    if let Some(given) = given {
        let acknowledged = given.get("value").filter(|_| given.get("ac").is_some());
        for (short, long) in [
            ("av", "ackVersion"),
            ("ac", "ackCode"),
            ("ad", "ackDescription"),
        ] {
            let member = acknowledged.and_then(|_| given.get(short));
            about.extend(member.map(|member| (long.to_owned(), member.clone())));
        }
        let updated = &context.reported[name]["$lastUpdated"];
        if !updated.is_null() {
            about.insert("lastUpdateTime".to_owned(), updated.clone());
        }
        twin.insert(name.to_owned(), acknowledged.unwrap_or(given).clone());
    }
    metadata.insert(name.to_owned(), Value::Object(about));
}

/// Reads a JSON patch of a digital twin as a merge patch of desired properties. A path has one name
/// for a property of the device or a whole component, two for a property of a component.
///
/// # Errors
/// When it is not an array of `add`, `replace` and `remove`, or a path is longer.
pub fn desired_patch(body: &Value) -> Result<Map<String, Value>, BodyError> {
    let Value::Array(operations) = body else {
        return Err(BodyError::new("", "an array of operations was expected"));
    };
    if operations.len() > MAX_OPERATIONS {
        let problem = format!("more than {MAX_OPERATIONS} operations");
        return Err(BodyError::new("", problem));
    }
    let mut patch = Map::new();
    for (place, operation) in operations.iter().enumerate() {
        let fault = |problem: &str| BodyError::new(format!("[{place}]"), problem);
        let value = match operation["op"].as_str() {
            Some("add" | "replace") => operation
                .get("value")
                .ok_or_else(|| fault("add and replace need a value"))?,
            Some("remove") => &Value::Null,
            _ => return Err(fault("op is not one of add, replace, remove")),
        };
        let path = operation["path"].as_str().unwrap_or_default();
        let mut names = path
            .split('/')
            .map(|name| name.replace("~1", "/").replace("~0", "~"));
        let names = match names.next().as_deref() {
            Some("") => names.collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        match names.as_slice() {
            [name] if !name.is_empty() => {
                patch.insert(name.clone(), whole(value));
            }
            [component, name] if !component.is_empty() && !name.is_empty() => {
                let members = patch
                    .entry(component.clone())
                    .or_insert_with(|| json!({ MARK: "c" }));
                // An earlier operation removed the whole, or gave it another value.
                let Value::Object(members) = members else {
                    return Err(fault(
                        "the component is no object after the operations before",
                    ));
                };
                members.insert(name.clone(), value.clone());
            }
            _ => return Err(fault("path is not /property or /component/property")),
        }
    }
    Ok(patch)
}

/// A component that is added whole has a `$metadata` member.
fn whole(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value
        && members.remove(METADATA).is_some()
    {
        members.insert(MARK.to_owned(), json!("c"));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(properties: &Value, metadata: Value, version: u64) -> Section {
        Section {
            properties: properties.as_object().unwrap().clone(),
            metadata,
            version,
        }
    }

    #[test]
    fn reported_values_stand_with_what_is_desired_and_acknowledged() {
        let desired = json!({"rate": 5, "thermostat1": {"__t": "c", "target": 20}});
        let reported = json!({"serial": "s1", "thermostat1": {"__t": "c", "max": 25.3,
            "target": {"value": 19, "ac": 200, "av": 3, "ad": "done"}}});
        let times = json!({"serial": {"$lastUpdated": "t1"},
            "thermostat1": {"target": {"$lastUpdated": "t2"}}});
        let twin = document(
            "d1",
            "dtmi:a;1",
            &section(&desired, json!({}), 4),
            &section(&reported, times, 2),
        );
        let expected = json!({"$dtId": "d1", "serial": "s1",
            "thermostat1": {"max": 25.3, "target": 19, "$metadata": {"max": {},
                "target": {"desiredValue": 20, "desiredVersion": 4, "ackVersion": 3,
                    "ackCode": 200, "ackDescription": "done", "lastUpdateTime": "t2"}}},
            "$metadata": {"$model": "dtmi:a;1", "serial": {"lastUpdateTime": "t1"},
                "rate": {"desiredValue": 5, "desiredVersion": 4}}});
        assert_eq!(twin, expected);
    }

    #[test]
    fn a_json_patch_becomes_desired_properties() {
        let patch = json!([{"op": "add", "path": "/rate", "value": 5},
            {"op": "replace", "path": "/thermostat1/target", "value": 20},
            {"op": "add", "path": "/thermostat2", "value": {"target": 1, "$metadata": {}}},
            {"op": "remove", "path": "/old~1name"}]);
        let expected = json!({"rate": 5, "thermostat1": {"__t": "c", "target": 20},
            "thermostat2": {"__t": "c", "target": 1}, "old/name": null});
        assert_eq!(Value::Object(desired_patch(&patch).unwrap()), expected);
        for wrong in [
            json!({}),
            json!([{"op": "test", "path": "/a", "value": 1}]),
            json!([{"op": "add", "path": "/a"}]),
            json!([{"op": "add", "path": "a", "value": 1}]),
            json!([{"op": "add", "path": "/a/b/c", "value": 1}]),
            json!([{"op": "add", "path": "/", "value": 1}]),
            json!([{"op": "add", "path": "/a", "value": 5},
                {"op": "add", "path": "/a/b", "value": 1}]),
            json!([{"op": "remove", "path": "/a"},
                {"op": "add", "path": "/a/b", "value": 1}]),
        ] {
            assert!(desired_patch(&wrong).is_err(), "{wrong}");
        }
    }
}
