//! Merge patches and the metadata that follows them.

use ids::Timestamp;
use serde_json::{Map, Value};

/// The date, and for desired properties the version, that metadata gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) at: Timestamp,
    /// `None` for reported properties.
    pub(crate) version: Option<u64>,
}

impl Stamp {
    /// Dates one level of metadata.
    fn mark(self, metadata: &mut Map<String, Value>) {
        metadata.insert("$lastUpdated".to_owned(), self.at.to_string().into());
        if let Some(version) = self.version {
            metadata.insert("$lastUpdatedVersion".to_owned(), version.into());
        }
    }

    /// Metadata for a document that is all new.
    pub(crate) fn whole(self, document: &Map<String, Value>) -> Map<String, Value> {
        let mut metadata = Map::new();
        self.mark(&mut metadata);
        for (key, value) in document {
            metadata.insert(key.clone(), self.of(value).into());
        }
        metadata
    }

    fn of(self, value: &Value) -> Map<String, Value> {
        match value {
            Value::Object(inner) => self.whole(inner),
            // Arrays are leaves.
            _ => self.whole(&Map::new()),
        }
    }
}

/// Applies a merge patch: `null` deletes, objects merge, all else replaces.
pub(crate) fn merge(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    // All at once: taking out one by one moves the rest each time.
    if patch.values().any(Value::is_null) {
        document.retain(|key, _| !patch.get(key).is_some_and(Value::is_null));
    }
    for (key, change) in patch {
        match change {
            Value::Null => {}
            Value::Object(inner) => merge(object_at(document, key), inner),
            _ => drop(document.insert(key.clone(), change.clone())),
        }
    }
}

/// Dates what a merge patch touched. `document` is the document after the patch.
pub(crate) fn merge_metadata(
    metadata: &mut Map<String, Value>,
    document: &Map<String, Value>,
    patch: &Map<String, Value>,
    stamp: Stamp,
) {
    stamp.mark(metadata);
    let gone = |key: &String| !document.contains_key(key);
    if patch.keys().any(gone) {
        metadata.retain(|key, _| !(patch.contains_key(key) && gone(key)));
    }
    for (key, change) in patch {
        match (change, document.get(key)) {
            (Value::Null, _) | (_, None) => {}
            (Value::Object(inner), Some(Value::Object(now))) => {
                merge_metadata(object_at(metadata, key), now, inner, stamp);
            }
            (_, Some(now)) => drop(metadata.insert(key.clone(), stamp.of(now).into())),
        }
    }
}

/// The object under a key; makes one when something else, or nothing, is there.
fn object_at<'a>(document: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = document
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    match entry {
        Value::Object(inner) => inner,
        // The lines above made it one.
        _ => unreachable!("an object was put here"),
    }
}

/// The document without members that are `null`: documents store none outside arrays.
pub(crate) fn without_nulls(document: &Map<String, Value>) -> Map<String, Value> {
    let mut clean = Map::new();
    merge(&mut clean, document);
    clean
}

/// The smallest merge patch that turns `old` into `new`. Neither has `null` members.
pub(crate) fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), _) if before == value => {}
            (Some(Value::Object(before)), Value::Object(after)) => {
                patch.insert(key.clone(), difference(before, after).into());
            }
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    patch
}
