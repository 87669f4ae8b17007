//! Twins: two JSON documents with versions and dates, and tags. All rules that IoT Hub documents
//! for them, none of storage.

mod error;
mod limits;
mod merge;

use std::collections::BTreeMap;

use ids::{ConfigurationId, Etag, Timestamp};
use serde_json::{Map, Value};
use store::StoreError;

use crate::StorageError;
use crate::etag;
use crate::identity::IdentityRecord;

pub use error::TwinError;
pub(crate) use merge::{Stamp, difference, merge, without_nulls};

/// Whether a configuration merely matches a device or is part of what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigurationStatus {
    Targeted,
    Applied,
}

/// `desired` or `reported` of a twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The properties, without `$metadata` and `$version`.
    pub document: Map<String, Value>,
    /// `$metadata`: mirrors the document, with `$lastUpdated` and (desired only)
    /// `$lastUpdatedVersion` at every level.
    pub metadata: Map<String, Value>,
    /// `$version`: 1 when fresh, one more with every change of this section.
    pub version: u64,
}

impl Section {
    /// The section as the service side sees it: with `$metadata` and `$version`.
    #[must_use]
    pub fn with_metadata(&self) -> Value {
        let mut all = self.document.clone();
        all.insert("$metadata".to_owned(), Value::Object(self.metadata.clone()));
        all.insert("$version".to_owned(), self.version.into());
        Value::Object(all)
    }

    /// The section as a device sees it: with `$version` only.
    #[must_use]
    pub fn for_device(&self) -> Value {
        let mut all = self.document.clone();
        all.insert("$version".to_owned(), self.version.into());
        Value::Object(all)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// Its version as an etag: base64 of an 8 byte counter, `AAAAAAAAAAE=` when fresh.
    /// Not the identity's etag.
    pub etag: Etag,
    /// 2 when fresh, one more with every change of whatever part.
    pub version: u64,
    pub tags: Map<String, Value>,
    pub desired: Section,
    pub reported: Section,
    /// Deployments that concern it, on devices and `$edgeAgent`.
    pub configurations: BTreeMap<ConfigurationId, ConfigurationStatus>,
}

/// A twin with the identity it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinRecord {
    pub identity: IdentityRecord,
    pub twin: Twin,
}

/// A service's PATCH: merge patches, `null` deletes. Members absent here stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TwinPatch {
    pub tags: Option<Map<String, Value>>,
    /// For `properties.desired`; `$metadata` and `$version` at its top are ignored.
    pub desired: Option<Map<String, Value>>,
}

/// A service's PUT: what `tags` and `properties.desired` are from now on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TwinReplacement {
    /// All tags. `None` keeps them (the replace-tags and replace-desired forms of some SDKs).
    pub tags: Option<Map<String, Value>>,
    /// All desired properties. `None` keeps them.
    pub desired: Option<Map<String, Value>>,
}

/// The twin that an enrollment gives to devices it creates: checked once, kept as
/// text for the writer.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct InitialTwin {
    pub(crate) tags: Option<String>,
    pub(crate) desired: Option<String>,
}

impl InitialTwin {
    /// Checks the limits of both documents. The error names the path of the value that exceeds one.
    pub fn new(tags: &Map<String, Value>, desired: &Map<String, Value>) -> Result<Self, TwinError> {
        let text = |path: &str,
                    document: &Map<String, Value>,
                    limit|
         -> Result<Option<String>, TwinError> {
            limits::require_members(path, document)?;
            let document = without_nulls(document);
            limits::require_size(path, &document, limit)?;
            Ok((!document.is_empty()).then(|| Value::Object(document).to_string()))
        };
        Ok(Self {
            tags: text(TAGS, tags, limits::TAGS)?,
            desired: text(DESIRED, &without_marks(desired), limits::PROPERTIES)?,
        })
    }
}

impl TwinPatch {
    /// What of it counts, when it is within what may be sent at once. To be asked before anything
    /// waits for the writer.
    pub(crate) fn checked(&self) -> Result<CheckedPatch, TwinError> {
        let tags = self.tags.clone().filter(|tags| !tags.is_empty());
        let desired = self.desired.as_ref().map(without_marks);
        Ok(CheckedPatch {
            tags: sent(TAGS, tags)?,
            desired: sent(DESIRED, desired.filter(|desired| !desired.is_empty()))?,
        })
    }
}

impl TwinReplacement {
    /// What of it counts, when each document is within its limits. To be asked before anything
    /// waits for the writer.
    pub(crate) fn checked(&self) -> Result<CheckedReplacement, TwinError> {
        let whole = |path: &str, document: Option<Map<String, Value>>, limit| {
            let document = sent(path, document)?.map(|document| without_nulls(&document));
            if let Some(document) = &document {
                limits::require_size(path, document, limit)?;
            }
            Ok::<_, TwinError>(document)
        };
        let desired = self.desired.as_ref().map(without_marks);
        Ok(CheckedReplacement {
            tags: whole(TAGS, self.tags.clone(), limits::TAGS)?,
            desired: whole(DESIRED, desired, limits::PROPERTIES)?,
        })
    }
}

fn sent(
    path: &str,
    document: Option<Map<String, Value>>,
) -> Result<Option<Map<String, Value>>, TwinError> {
    if let Some(document) = &document {
        limits::require_members(path, document)?;
    }
    Ok(document)
}

/// A patch of which each document is within what may be sent.
#[derive(Debug, Clone)]
pub(crate) struct CheckedPatch {
    tags: Option<Map<String, Value>>,
    desired: Option<Map<String, Value>>,
}

/// Documents that are within their limits.
#[derive(Debug, Clone)]
pub(crate) struct CheckedReplacement {
    tags: Option<Map<String, Value>>,
    desired: Option<Map<String, Value>>,
}

/// A device's patch of its reported properties that is within what may be sent.
#[derive(Debug, Clone)]
pub(crate) struct CheckedReport(Map<String, Value>);

impl CheckedReport {
    pub(crate) fn new(patch: &Map<String, Value>) -> Result<Self, TwinError> {
        let patch = without_marks(patch);
        limits::require_members(REPORTED, &patch)?;
        Ok(Self(patch))
    }
}

/// What deployments together give a module, when a twin may hold it.
pub(crate) fn require_desired(desired: &Map<String, Value>) -> Result<(), TwinError> {
    limits::require_members(DESIRED, desired)?;
    limits::require_size(DESIRED, desired, limits::PROPERTIES)
}

impl InitialTwin {
    /// Tags and desired properties.
    pub fn documents(&self) -> Result<[Map<String, Value>; 2], StorageError> {
        let read = |text: &Option<String>| -> Result<_, StoreError> {
            match text {
                Some(text) => serde_json::from_str(text)
                    .map_err(|error| StoreError::damaged_document("an initial twin", error)),
                None => Ok(Map::new()),
            }
        };
        Ok([read(&self.tags)?, read(&self.desired)?])
    }
}

const TAGS: &str = "tags";
const DESIRED: &str = "properties.desired";
const REPORTED: &str = "properties.reported";

/// Clients echo `$metadata` and `$version`; both are ours to write.
fn without_marks(document: &Map<String, Value>) -> Map<String, Value> {
    let mut document = document.clone();
    document.shift_remove("$metadata");
    document.shift_remove("$version");
    document
}

/// The parts that a change of a twin touched, for the audit and for the device's session.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Touched {
    pub(crate) tags: bool,
    /// The merge patch from the previous desired properties to the present ones.
    pub(crate) desired: Option<Map<String, Value>>,
    pub(crate) reported: bool,
    pub(crate) configurations: bool,
    /// Whether a service replaced the twin, instead of merging into it.
    pub(crate) replaced: bool,
}

impl Touched {
    pub(crate) fn anything(&self) -> bool {
        self.tags || self.desired.is_some() || self.reported || self.configurations
    }
}

/// The rules. Each method either changes nothing and says why, or changes all and says what.
impl Twin {
    pub(crate) fn patch(
        &mut self,
        patch: &CheckedPatch,
        now: Timestamp,
    ) -> Result<Touched, TwinError> {
        let mut next = self.clone();
        let mut touched = Touched::default();
        if let Some(tags) = &patch.tags {
            merge(&mut next.tags, tags);
            limits::require_size(TAGS, &next.tags, limits::TAGS)?;
            touched.tags = true;
        }
        if let Some(desired) = &patch.desired {
            next.desired.merge(DESIRED, desired, now, true)?;
            touched.desired = Some(desired.clone());
        }
        self.become_next(next, &touched);
        Ok(touched)
    }

    pub(crate) fn replace(&mut self, replacement: &CheckedReplacement, now: Timestamp) -> Touched {
        let mut touched = Touched {
            replaced: true,
            ..Touched::default()
        };
        if let Some(tags) = &replacement.tags {
            self.tags.clone_from(tags);
            touched.tags = true;
        }
        if let Some(desired) = &replacement.desired {
            touched.desired = Some(difference(&self.desired.document, desired));
            self.desired.set(desired.clone(), now);
        }
        self.count(&touched);
        touched
    }

    /// The device's patch of its reported properties.
    pub(crate) fn report(
        &mut self,
        patch: &CheckedReport,
        now: Timestamp,
    ) -> Result<Touched, TwinError> {
        let CheckedReport(patch) = patch;
        if patch.is_empty() {
            return Ok(Touched::default());
        }
        let mut next = self.clone();
        next.reported.merge(REPORTED, patch, now, false)?;
        let touched = Touched {
            reported: true,
            ..Touched::default()
        };
        self.become_next(next, &touched);
        Ok(touched)
    }

    /// Desired properties from deployments, which have been checked one by one. Nothing happens
    /// when they are the same.
    pub(crate) fn deploy(
        &mut self,
        desired: Option<&Map<String, Value>>,
        statuses: Option<&Statuses>,
        now: Timestamp,
    ) -> Touched {
        let mut touched = Touched::default();
        if let Some(desired) = desired.filter(|desired| **desired != self.desired.document) {
            touched.desired = Some(difference(&self.desired.document, desired));
            self.desired.set(desired.clone(), now);
        }
        if let Some(statuses) = statuses.filter(|statuses| **statuses != self.configurations) {
            self.configurations = statuses.clone();
            touched.configurations = true;
        }
        self.count(&touched);
        touched
    }

    fn become_next(&mut self, next: Self, touched: &Touched) {
        *self = next;
        self.count(touched);
    }

    fn count(&mut self, touched: &Touched) {
        if touched.anything() {
            self.version += 1;
            self.etag = etag::of_twin(self.version);
        }
    }
}

/// What `configurations` of a twin says.
pub(crate) type Statuses = BTreeMap<ConfigurationId, ConfigurationStatus>;

impl Section {
    fn merge(
        &mut self,
        path: &str,
        patch: &Map<String, Value>,
        now: Timestamp,
        versions: bool,
    ) -> Result<(), TwinError> {
        merge(&mut self.document, patch);
        limits::require_size(path, &self.document, limits::PROPERTIES)?;
        self.version += 1;
        let stamp = Stamp {
            at: now,
            version: versions.then_some(self.version),
        };
        merge::merge_metadata(&mut self.metadata, &self.document, patch, stamp);
        Ok(())
    }

    fn set(&mut self, document: Map<String, Value>, now: Timestamp) {
        self.version += 1;
        self.metadata = Stamp {
            at: now,
            version: Some(self.version),
        }
        .whole(&document);
        self.document = document;
    }
}

#[cfg(test)]
mod tests;
