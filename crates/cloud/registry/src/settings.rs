//! Desired properties that device and module configurations set: which ones a twin gets, and which
//! of those that it has came from a configuration.

mod bookkeeping;
mod content;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ids::{ConfigurationId, Timestamp};
use serde_json::{Map, Value};

pub(crate) use bookkeeping::Owned;
pub(crate) use content::SettingsContent;

use crate::twin::{ConfigurationStatus, Statuses, without_nulls};

/// A place below `properties.desired`: the names of the members that lead to it. Paths sort so that
/// one stands before those below it.
pub(crate) type Path = Vec<String>;

/// A configuration whose condition a twin meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SettingsCandidate<'a> {
    pub(crate) id: &'a ConfigurationId,
    pub(crate) priority: u32,
    /// Later wins among equals.
    pub(crate) created: Timestamp,
    pub(crate) content: &'a SettingsContent,
}

/// What the configurations together set on one twin.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings {
    /// What each path is set to; `null` keeps it absent.
    values: BTreeMap<Path, Value>,
    /// Every candidate. It is applied when at least one of its paths took effect.
    pub(crate) statuses: Statuses,
}

/// What the candidates together set. On the same path, and below it, the highest priority wins.
pub(crate) fn resolve_settings(candidates: &[SettingsCandidate<'_>]) -> Settings {
    let mut ordered: Vec<_> = candidates.iter().collect();
    ordered.sort_by(|a, b| (b.priority, b.created, b.id).cmp(&(a.priority, a.created, a.id)));
    let mut settings = Settings::default();
    for candidate in ordered {
        let free = |(path, _): &(&Path, &Value)| !settings.covers(path);
        let effective: Vec<_> = candidate.content.settings().filter(free).collect();
        let status = match effective.is_empty() {
            false => ConfigurationStatus::Applied,
            true => ConfigurationStatus::Targeted,
        };
        let effective = effective.into_iter();
        let effective = effective.map(|(path, value)| (path.clone(), value.clone()));
        settings.values.extend(effective);
        settings.statuses.insert(candidate.id.clone(), status);
    }
    settings
}

impl Settings {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a path, or one above it, is set.
    fn covers(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|length| self.values.contains_key(&path[..length]))
    }

    /// Desired properties with these settings instead of those that earlier configurations left,
    /// and what of the result is theirs. All else stays as it is.
    pub(crate) fn lay(
        &self,
        desired: &Map<String, Value>,
        owned: &Owned,
    ) -> (Map<String, Value>, Owned) {
        let mut document = desired.clone();
        for path in &owned.paths {
            // What is set again is replaced below.
            if !self.values.contains_key(path) {
                remove(&mut document, path);
            }
        }
        for container in owned.containers.iter().rev() {
            if find(&document, container).is_some_and(Map::is_empty) {
                remove(&mut document, container);
            }
        }
        let mut containers: BTreeSet<Path> = BTreeSet::new();
        for (path, value) in &self.values {
            match value {
                Value::Null => remove(&mut document, path),
                value => put(&mut document, path, value, &mut containers),
            }
        }
        let kept = |container: &&Path| {
            self.values.keys().any(|path| path.starts_with(container))
                && find(&document, container).is_some()
        };
        containers.extend(owned.containers.iter().filter(kept).cloned());
        // Of what is set whole, the containers are part of the value.
        containers.retain(|container| !self.covers(container));
        let paths = self.values.keys().cloned().collect();
        (document, Owned { paths, containers })
    }
}

/// The object at a path.
fn find<'a>(document: &'a Map<String, Value>, path: &[String]) -> Option<&'a Map<String, Value>> {
    path.iter()
        .try_fold(document, |at, name| at.get(name)?.as_object())
}

fn remove(document: &mut Map<String, Value>, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let holder = parents
        .iter()
        .try_fold(document, |at, name| at.get_mut(name)?.as_object_mut());
    if let Some(holder) = holder {
        holder.shift_remove(last);
    }
}

/// Puts a value at a path, and notes the objects that were made on the way.
fn put(
    document: &mut Map<String, Value>,
    path: &[String],
    value: &Value,
    made: &mut BTreeSet<Path>,
) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = document;
    for (depth, name) in parents.iter().enumerate() {
        let entry = at.entry(name).or_insert(Value::Null);
        if !entry.is_object() {
            *entry = Value::Object(Map::new());
            made.insert(parents[..=depth].to_vec());
        }
        let Value::Object(inner) = entry else {
            return;
        };
        at = inner;
    }
    let value = match value {
        Value::Object(members) => Value::Object(without_nulls(members)),
        other => other.clone(),
    };
    at.insert(last.clone(), value);
}
