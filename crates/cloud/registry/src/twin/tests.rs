use proptest::prelude::*;
use serde_json::json;

use super::*;

const THEN: Timestamp = Timestamp::from_unix_seconds(1_000);
const NOW: Timestamp = Timestamp::from_unix_seconds(2_000);

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn fresh() -> Twin {
    let section = |version| Section {
        document: Map::new(),
        metadata: Stamp { at: THEN, version }.whole(&Map::new()),
        version: 1,
    };
    Twin {
        etag: etag::of_twin(2),
        version: 2,
        tags: Map::new(),
        desired: section(Some(1)),
        reported: section(None),
        configurations: Statuses::new(),
    }
}

fn patch(tags: Value, desired: Value) -> CheckedPatch {
    let given = |value: Value| value.as_object().cloned();
    let patch = TwinPatch {
        tags: given(tags),
        desired: given(desired),
    };
    patch.checked().unwrap()
}

fn report(patch: Value) -> CheckedReport {
    CheckedReport::new(&map(patch)).unwrap()
}

#[test]
fn a_patch_merges_deletes_and_dates_what_it_touched() {
    let mut twin = fresh();
    twin.patch(
        &patch(
            json!({"site": "Seoul", "old": 1}),
            json!({"a": {"b": 1, "c": 2}, "d": [1]}),
        ),
        THEN,
    )
    .unwrap();
    let touched = twin
        .patch(
            &patch(
                json!({"old": null}),
                json!({"a": {"b": null, "e": true}, "$version": 9}),
            ),
            NOW,
        )
        .unwrap();

    assert_eq!(
        touched.desired,
        Some(map(json!({"a": {"b": null, "e": true}})))
    );
    assert_eq!(
        (twin.version, twin.desired.version, twin.reported.version),
        (4, 3, 1)
    );
    assert_eq!(twin.etag.as_str(), "AAAAAAAAAAM=");
    assert_eq!(twin.tags, map(json!({"site": "Seoul"})));
    assert_eq!(
        twin.desired.document,
        map(json!({"a": {"c": 2, "e": true}, "d": [1]}))
    );
    let (old, new) = (json!(THEN.to_string()), json!(NOW.to_string()));
    assert_eq!(
        Value::Object(twin.desired.metadata),
        json!({
            "$lastUpdated": new, "$lastUpdatedVersion": 3,
            "a": {
                "$lastUpdated": new, "$lastUpdatedVersion": 3,
                "c": {"$lastUpdated": old, "$lastUpdatedVersion": 2},
                "e": {"$lastUpdated": new, "$lastUpdatedVersion": 3},
            },
            "d": {"$lastUpdated": old, "$lastUpdatedVersion": 2},
        })
    );
}

#[test]
fn tags_alone_leave_the_sections_versions() {
    let mut twin = fresh();
    let touched = twin.patch(&patch(json!({"a": 1}), json!({})), NOW).unwrap();
    assert!(touched.tags && touched.desired.is_none());
    assert_eq!((twin.version, twin.desired.version), (3, 1));
}

#[test]
fn a_put_replaces_and_tells_the_difference() {
    let mut twin = fresh();
    twin.patch(
        &patch(json!({"a": 1}), json!({"keep": {"x": 1, "y": 2}, "go": 1})),
        THEN,
    )
    .unwrap();
    let put = TwinReplacement {
        tags: Some(map(json!({}))),
        desired: Some(map(json!({"keep": {"x": 1}, "new": 3}))),
    };
    let touched = twin.replace(&put.checked().unwrap(), NOW);
    assert_eq!(
        touched.desired,
        Some(map(json!({"go": null, "keep": {"y": null}, "new": 3})))
    );
    assert!(twin.tags.is_empty());
    assert_eq!(twin.desired.version, 3);
}

#[test]
fn reported_has_no_version_in_its_metadata() {
    let mut twin = fresh();
    twin.report(&report(json!({"a": {"b": 1}})), NOW).unwrap();
    let date = json!({"$lastUpdated": NOW.to_string()});
    assert_eq!(twin.reported.metadata["a"]["b"], date);
    assert_eq!(
        (twin.version, twin.reported.version, twin.desired.version),
        (3, 2, 1)
    );
}

#[test]
fn a_refused_patch_changes_nothing() {
    let mut twin = fresh();
    let too_much = json!({"a": "x".repeat(4096), "b": "x".repeat(4096)});
    let error = twin
        .patch(&patch(too_much, json!({"c": 1})), NOW)
        .unwrap_err();
    assert_eq!(error.to_string(), "'tags' has 8194 bytes; 8192 are allowed");
    assert_eq!(twin, fresh());
    let error = CheckedReport::new(&map(json!({"a": {"b.c": 1}}))).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("'properties.reported.a.b.c' has '.'"),
        "{error}"
    );
}

// C1: what a device sends like this is refused before it waits, and nothing adds up behind the
// documented size.
#[test]
fn values_of_no_size_do_not_add_up() {
    let mut twin = fresh();
    let mut kept = 0;
    for n in 0..40 {
        let nothings = json!({format!("k{n}"): vec![json!([]); 1000]});
        kept += usize::from(twin.report(&report(nothings), NOW).is_ok());
    }
    assert_eq!(kept, 4);
    assert!(CheckedReport::new(&map(json!({"k": vec![json!([]); 100_000]}))).is_err());
}

// C4: members taken out one by one moved all others each time.
#[test]
fn a_patch_that_deletes_much_costs_what_it_is_long() {
    let many = |value: Value| -> Map<String, Value> {
        (0..200_000)
            .map(|n: u32| (n.to_string(), value.clone()))
            .collect()
    };
    let stamp = Stamp {
        at: NOW,
        version: None,
    };
    let mut document = many(json!({}));
    let mut metadata = stamp.whole(&document);
    document.insert("kept".to_owned(), json!(1));
    let begun = std::time::Instant::now();
    let nulls = many(Value::Null);
    merge(&mut document, &nulls);
    merge::merge_metadata(&mut metadata, &document, &nulls, stamp);
    // Minutes when each deletion moves what follows it.
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(document, map(json!({"kept": 1})));
    assert_eq!(metadata.len(), 1);
}

#[test]
fn size_is_that_of_the_result() {
    let mut twin = fresh();
    let half = |key: &str| patch(json!({key: "x".repeat(4000)}), json!(null));
    twin.patch(&half("a"), NOW).unwrap();
    twin.patch(&half("b"), NOW).unwrap();
    assert!(twin.patch(&half("c"), NOW).is_err());
    twin.patch(
        &patch(json!({"a": null, "c": "x".repeat(4000)}), json!(null)),
        NOW,
    )
    .unwrap();
}

#[test]
fn deploying_the_same_again_changes_nothing() {
    let mut twin = fresh();
    let desired = map(json!({"a": 1}));
    assert!(twin.deploy(Some(&desired), None, NOW).anything());
    let before = twin.clone();
    assert!(
        !twin
            .deploy(Some(&desired), Some(&Statuses::new()), NOW)
            .anything()
    );
    assert_eq!(twin, before);
}

fn document() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
        Just(json!([1, 2]))
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop::collection::btree_map("[a-d]", inner, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    });
    prop::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|members| members.into_iter().collect())
}

/// Every key of the document, and no other, has its metadata.
fn mirrors(document: &Map<String, Value>, metadata: &Map<String, Value>) -> bool {
    let own = |key: &&String| !key.starts_with('$');
    metadata.contains_key("$lastUpdated")
        && metadata.keys().filter(own).count() == document.len()
        && document
            .iter()
            .all(|(key, value)| match (value, metadata.get(key)) {
                (Value::Object(inner), Some(Value::Object(data))) => mirrors(inner, data),
                (_, Some(Value::Object(data))) => data.keys().filter(own).count() == 0,
                _ => false,
            })
}

proptest! {
    #[test]
    fn the_difference_is_a_patch_from_one_to_the_other(old in document(), new in document()) {
        let mut merged = old.clone();
        merge(&mut merged, &difference(&old, &new));
        prop_assert_eq!(Value::Object(merged), Value::Object(new.clone()));
        prop_assert!(difference(&new, &new).is_empty());
    }

    #[test]
    fn metadata_mirrors_the_document_after_any_patches(patches in prop::collection::vec((document(), document()), 1..6)) {
        let mut twin = fresh();
        for (add, target) in patches {
            let before = twin.version;
            twin.patch(&TwinPatch { tags: None, desired: Some(add) }.checked().unwrap(), NOW).unwrap();
            let toward = difference(&twin.desired.document, &target);
            twin.patch(&TwinPatch { tags: None, desired: Some(toward) }.checked().unwrap(), NOW).unwrap();
            prop_assert!(twin.version <= before + 2);
            prop_assert_eq!(Value::Object(twin.desired.document.clone()), Value::Object(target));
            prop_assert!(mirrors(&twin.desired.document, &twin.desired.metadata));
        }
    }

    #[test]
    fn a_session_that_applies_every_patch_holds_the_document(documents in prop::collection::vec(document(), 1..6)) {
        let mut twin = fresh();
        let mut session = Map::new();
        for desired in documents {
            let touched = twin.replace(&TwinReplacement { tags: None, desired: Some(desired) }.checked().unwrap(), NOW);
            merge(&mut session, &touched.desired.unwrap());
            prop_assert_eq!(&Value::Object(session.clone()), &Value::Object(twin.desired.document.clone()));
        }
    }
}
