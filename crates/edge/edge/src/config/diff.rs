//! The changes that `iotedge config apply` makes, key by key.

use std::collections::BTreeMap;

use toml::Value;

/// One key that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Added(String, String),
    /// The key, the old value and the new one.
    Changed(String, String, String),
    Removed(String, String),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Added(key, new) => write!(f, "+ {key} = {new}"),
            Self::Changed(key, old, new) => write!(f, "~ {key} = {new} (was {old})"),
            Self::Removed(key, old) => write!(f, "- {key} = {old}"),
        }
    }
}

/// Compares two TOML texts by value. A text that cannot be parsed counts as
/// empty. Secrets are hidden.
#[must_use]
pub fn changes(old: &str, new: &str) -> Vec<Change> {
    let (old, new) = (flat(old), flat(new));
    let mut found = Vec::new();
    for (key, value) in &new {
        match old.get(key) {
            None => found.push(Change::Added(key.clone(), printable(key, value))),
            Some(before) if before != value => {
                found.push(Change::Changed(
                    key.clone(),
                    printable(key, before),
                    printable(key, value),
                ));
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    found.extend(gone.map(|(key, value)| Change::Removed(key.clone(), printable(key, value))));
    found
}

fn flat(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        flatten("", &Value::Table(table), &mut found);
    }
    found
}

fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    let Value::Table(table) = value else {
        found.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, inner) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        flatten(&path, inner, found);
    }
}

fn printable(key: &str, value: &Value) -> String {
    // An environment variable may hold a secret, and so may keys with these names.
    let secret = key.starts_with("agent.env.")
        || ["password", "value", "connection_string", "auth"]
            .iter()
            .any(|s| key.ends_with(s));
    let secret = secret
        || value
            .as_str()
            .is_some_and(|text| text.contains("pin-value"));
    if secret {
        "(hidden)".to_owned()
    } else {
        value.to_string()
    }
}
