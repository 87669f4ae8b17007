use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::deployment::ConfigurationError;

fn id(text: &str) -> ConfigurationId {
    ConfigurationId::parse(text).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn content(members: &Value) -> SettingsContent {
    SettingsContent::parse("deviceContent", members).unwrap()
}

/// The settings of configurations in order of priority, the lowest first.
fn settings(contents: &[SettingsContent]) -> Settings {
    let ids: Vec<_> = (0..contents.len()).map(|n| id(&format!("c{n}"))).collect();
    let candidates: Vec<_> = (0..)
        .zip(ids.iter().zip(contents))
        .map(|(priority, (id, content))| SettingsCandidate {
            id,
            priority,
            created: Timestamp::NEVER,
            content,
        })
        .collect();
    resolve_settings(&candidates)
}

#[test]
fn the_highest_priority_wins_each_path() {
    let low = content(&json!({"properties.desired.a": {"x": 1, "y": 2},
        "properties.desired.b.c": 1}));
    let loses_all = content(&json!({"properties.desired.b.c": 3}));
    let high = content(&json!({"properties.desired.a.x": 9, "properties.desired.b": {"d": 4}}));
    let settings = settings(&[low, loses_all, high]);
    let (document, owned) = settings.lay(&map(json!({"own": 1, "b": 7})), &Owned::default());
    assert_eq!(
        Value::Object(document.clone()),
        json!({"own": 1, "b": {"d": 4}, "a": {"x": 9, "y": 2}})
    );
    assert_eq!(
        settings.statuses.values().copied().collect::<Vec<_>>(),
        [
            ConfigurationStatus::Applied,
            ConfigurationStatus::Targeted,
            ConfigurationStatus::Applied
        ]
    );
    let (left, owned) = Settings::default().lay(&document, &owned);
    assert_eq!(Value::Object(left), json!({"own": 1}));
    assert!(owned.is_empty());
}

#[test]
fn among_equals_the_newest_wins() {
    let (old, new) = (
        content(&json!({"properties.desired.a": "old"})),
        content(&json!({"properties.desired.a": "new"})),
    );
    let (first, second) = (id("z"), id("a"));
    let candidate = |id, content, seconds| SettingsCandidate {
        id,
        priority: 5,
        created: Timestamp::from_unix_seconds(seconds),
        content,
    };
    let candidates = [candidate(&first, &old, 1), candidate(&second, &new, 2)];
    let (document, _) = resolve_settings(&candidates).lay(&Map::new(), &Owned::default());
    assert_eq!(Value::Object(document), json!({"a": "new"}));
}

#[test]
fn null_removes_and_containers_that_were_made_go_again() {
    let first = settings(&[content(&json!({
        "properties.desired.gone": null, "properties.desired.deep.er.value": 1}))]);
    let before = map(json!({"gone": 1, "kept": {}}));
    let (document, owned) = first.lay(&before, &Owned::default());
    assert_eq!(
        Value::Object(document.clone()),
        json!({"kept": {}, "deep": {"er": {"value": 1}}})
    );
    // What an operator adds beside a setting stays, with what holds it.
    let mut edited = document;
    edited["deep"]["own"] = json!(2);
    let (left, _) = Settings::default().lay(&edited, &owned);
    assert_eq!(Value::Object(left), json!({"kept": {}, "deep": {"own": 2}}));
}

#[test]
fn faults_name_their_path() {
    for (members, path) in [
        (json!({"tags.a": 1}), "deviceContent.tags.a"),
        (
            json!({"properties.desired": 1}),
            "deviceContent.properties.desired",
        ),
        (
            json!({"properties.desired.a..b": 1}),
            "deviceContent.properties.desired.a..b",
        ),
        (
            json!({"properties.desired.a": {"b$": 1}}),
            "deviceContent.properties.desired.a.b$",
        ),
        (
            json!({"properties.desired": {"a": 1}, "properties.desired.a": 2}),
            "deviceContent.properties.desired.a",
        ),
    ] {
        match SettingsContent::parse("deviceContent", &members) {
            Err(ConfigurationError::Content { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{members}: {other:?}"),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!("t")), Just(json!([1]))];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop::collection::btree_map("[abc]", inner, 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

fn document() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[abc]", value(), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

fn contents() -> impl Strategy<Value = Vec<SettingsContent>> {
    let key = prop::collection::vec("[abcd]", 1..4).prop_map(|names| names.join("."));
    let value = prop_oneof![4 => value(), 1 => Just(Value::Null)];
    let members = prop::collection::btree_map(key, value, 1..4);
    let one = members.prop_map(|members| {
        let members = members
            .into_iter()
            .map(|(path, value)| (format!("properties.desired.{path}"), value));
        content(&Value::Object(members.collect()))
    });
    prop::collection::vec(one, 0..4)
}

/// Every leaf, and every empty object, with its path.
fn leaves(document: &Map<String, Value>, at: &[String], found: &mut BTreeMap<Path, Value>) {
    for (name, value) in document {
        let path = [at, std::slice::from_ref(name)].concat();
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(inner, &path, found),
            leaf => drop(found.insert(path, leaf.clone())),
        }
    }
}

proptest! {
    #[test]
    fn laying_again_changes_nothing(before in document(), contents in contents()) {
        let settings = settings(&contents);
        let once = settings.lay(&before, &Owned::default());
        prop_assert_eq!(settings.lay(&once.0, &once.1), once);
    }

    #[test]
    fn removal_takes_only_what_configurations_wrote(
        before in document(), contents in contents(), next in contents(),
    ) {
        let first = settings(&contents);
        let (document, owned) = first.lay(&before, &Owned::default());
        let second = settings(&next);
        let (document, owned) = second.lay(&document, &owned);
        let (left, owned) = Settings::default().lay(&document, &owned);
        prop_assert!(owned.is_empty() && owned.containers.is_empty());
        let (mut was, mut is) = (BTreeMap::new(), BTreeMap::new());
        leaves(&before, &[], &mut was);
        leaves(&left, &[], &mut is);
        // A leaf of before is gone only when a configuration set it, or something above or below.
        let touched = |path: &Path| {
            let values = first.values.keys().chain(second.values.keys());
            values.into_iter().any(|set| set.starts_with(path) || path.starts_with(set))
        };
        for (path, value) in &was {
            prop_assert!(touched(path) || is.get(path) == Some(value), "{:?} is gone", path);
        }
        for (path, value) in &is {
            let is_emptied = *value == Value::Object(Map::new());
            prop_assert!(was.get(path) == Some(value) || is_emptied, "{:?} is left", path);
        }
    }
}
