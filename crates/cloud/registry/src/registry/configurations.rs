//! Configurations of a hub.

use std::sync::Arc;

use ids::{ConfigurationId, HubName, Timestamp};
use serde_json::{Map, Value};
use store::{ConfigurationRow, ContentKind, Lock, PassScope, StoreError, Tx, Unit, View, unit};

use super::Registry;
use super::act::Act;
use super::compiled::{Document, record};
use super::watchers::Watchers;
use crate::change::Change;
use crate::deployment::{
    ConfigurationDraft, ConfigurationError, ConfigurationRecord, MetricResults, parse_condition,
};
use crate::error::StorageError;
use crate::etag;
use crate::limits::MAX_CONFIGURATIONS;
use crate::precondition::{IfMatch, PutDecision};
use crate::query::{Limits, Query};
use crate::resolve::Content;
use crate::settings::SettingsContent;

/// What the content is for. Exactly one of its three forms is there.
fn kind_of(content: &Value) -> Result<ContentKind, ConfigurationError> {
    let fault = |path: &str, problem: &str| ConfigurationError::Content {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let empty = Map::new();
    let members = content
        .as_object()
        .ok_or_else(|| fault("", "an object was expected"))?;
    let member = |name: &str| {
        members
            .get(name)
            .filter(|value| !value.is_null() && **value != Value::Object(empty.clone()))
    };
    match (
        member("modulesContent"),
        member("deviceContent"),
        member("moduleContent"),
    ) {
        (Some(modules), None, None) => Ok(Content::parse(modules)?.kind()),
        (None, Some(device), None) => {
            SettingsContent::parse("deviceContent", device)?;
            Ok(ContentKind::Device)
        }
        (None, None, Some(module)) => {
            SettingsContent::parse("moduleContent", module)?;
            Ok(ContentKind::Module)
        }
        (None, None, None) => Err(fault(
            "",
            "modulesContent, deviceContent or moduleContent was expected",
        )),
        _ => Err(fault(
            "",
            "only one of modulesContent, deviceContent and moduleContent may be there",
        )),
    }
}

impl Registry {
    /// Creates a configuration, or changes condition, priority, labels and metrics of one.
    /// Returns the record and whether it was created.
    pub async fn put_configuration(
        &self,
        hub: &HubName,
        draft: ConfigurationDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(ConfigurationRecord, bool), ConfigurationError> {
        let kind = draft.content.as_ref().map(kind_of).transpose()?;
        for (name, query) in &draft.metric_queries {
            Query::parse(query).map_err(|cause| {
                let metric = name.clone();
                ConfigurationError::Metric { metric, cause }
            })?;
        }
        let target = format!("{hub}/{}", draft.id);
        let put = PutConfiguration {
            hub: hub.clone(),
            draft,
            kind,
            if_match: if_match.clone(),
            watchers: self.inner.watchers.clone(),
            now,
        };
        self.act(Act::PutConfiguration, target, put).await
    }

    pub async fn configuration(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<ConfigurationRecord, ConfigurationError> {
        self.inner.store.read(|view| {
            let row = view.configuration(hub, id)?;
            let row = row.ok_or_else(|| ConfigurationError::NotFound(id.clone()))?;
            Ok(record(view, row)?)
        })
    }

    /// Deletes a configuration. Devices get the next one that matches, or keep what they have.
    pub async fn delete_configuration(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
        if_match: &IfMatch,
    ) -> Result<(), ConfigurationError> {
        let target = format!("{hub}/{id}");
        let (hub, id, if_match) = (hub.clone(), id.clone(), if_match.clone());
        let watchers = self.inner.watchers.clone();
        let delete = unit(
            (hub, id),
            |(hub, _)| vec![Lock::hub(hub)],
            move |(hub, id), view| {
                let found = view.configuration_head(hub, id)?;
                let found = found.ok_or_else(|| ConfigurationError::NotFound(id.clone()))?;
                match if_match.allows(&etag::of_revision(found.revision)) {
                    true => Ok(found),
                    false => Err(ConfigurationError::PreconditionFailed(id.clone())),
                }
            },
            move |(hub, id), tx, found| {
                tx.delete_configuration(hub, id, found.revision)?;
                tx.begin_full_pass(hub, found.kind.map_or(PassScope::AllDevices, pass_scope))?;
                let hub = hub.clone();
                watchers.tell(tx, Change::Targeting { hub });
                Ok(())
            },
        );
        self.act(Act::DeleteConfiguration, target, delete).await
    }

    /// All configurations of a hub (at most [`MAX_CONFIGURATIONS`]), by id. One that is damaged is
    /// logged and left out.
    pub async fn list_configurations(
        &self,
        hub: &HubName,
    ) -> Result<Vec<Arc<ConfigurationRecord>>, StorageError> {
        self.inner.store.read(|view| {
            let all = self.inner.configurations.current(view, hub)?;
            Ok(all.records.clone())
        })
    }

    /// The system metrics of a configuration, counted now.
    pub async fn metrics(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<MetricResults, ConfigurationError> {
        let (hub, id) = (hub.clone(), id.clone());
        let count = move |view: &View<'_>| {
            if view.configuration_head(&hub, &id)?.is_none() {
                return Err(ConfigurationError::NotFound(id));
            }
            let counts = view.metric_counts(&hub, &id)?;
            Ok(MetricResults {
                targeted: counts.targeted,
                applied: counts.applied,
                reported_successful: counts.successful,
                reported_failed: counts.failed,
            })
        };
        self.inner.store.scan(count).await
    }
}

/// The devices that may change when a configuration of this kind is written or deleted.
fn pass_scope(kind: ContentKind) -> PassScope {
    match kind {
        ContentKind::Deployment | ContentKind::LayeredDeployment => PassScope::EdgeDevices,
        ContentKind::Device | ContentKind::Module => PassScope::AllDevices,
    }
}

/// One PUT of a configuration on the writer's thread.
struct PutConfiguration {
    hub: HubName,
    draft: ConfigurationDraft,
    /// What the content is for, when there is one.
    kind: Option<ContentKind>,
    if_match: IfMatch,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

/// What a PUT of a configuration comes to: its row, and whether it is new.
struct ConfigurationPlan {
    row: ConfigurationRow,
    created: bool,
}

impl Unit for PutConfiguration {
    type Plan = ConfigurationPlan;
    type Output = (ConfigurationRecord, bool);
    type Error = ConfigurationError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::hub(&self.hub)]
    }

    fn decide(&self, view: &View<'_>) -> Result<ConfigurationPlan, ConfigurationError> {
        let id = &self.draft.id;
        let stored = view.configuration(&self.hub, id)?;
        let stored_etag = stored.as_ref().map(|row| etag::of_revision(row.revision));
        let (row, created) = match (self.if_match.decide_put(stored_etag.as_ref()), stored) {
            (PutDecision::Create, _) => (self.new_row(view)?, true),
            (PutDecision::Replace, Some(stored)) => (self.changed_row(view, stored)?, false),
            (PutDecision::Conflict, _) => return Err(ConfigurationError::Exists(id.clone())),
            (_, Some(_)) => return Err(ConfigurationError::PreconditionFailed(id.clone())),
            (_, None) => return Err(ConfigurationError::NotFound(id.clone())),
        };
        Ok(ConfigurationPlan { row, created })
    }

    fn apply(
        &self,
        tx: &Tx<'_>,
        ConfigurationPlan { row, created }: ConfigurationPlan,
    ) -> Result<(ConfigurationRecord, bool), StoreError> {
        match created {
            true => tx.insert_configuration(&self.hub, &row)?,
            false => tx.update_configuration(&self.hub, &row)?,
        }
        tx.begin_full_pass(&self.hub, pass_scope(row.kind))?;
        let hub = self.hub.clone();
        self.watchers.tell(tx, Change::Targeting { hub });
        Ok((record(tx, row)?, created))
    }
}

impl PutConfiguration {
    fn new_row(&self, view: &View<'_>) -> Result<ConfigurationRow, ConfigurationError> {
        if view.configurations(&self.hub)?.len() >= MAX_CONFIGURATIONS {
            return Err(ConfigurationError::TooMany);
        }
        let (Some(kind), Some(content)) = (self.kind, &self.draft.content) else {
            let problem = "modulesContent, deviceContent or moduleContent was expected".to_owned();
            return Err(ConfigurationError::Content {
                path: String::new(),
                problem,
            });
        };
        Ok(ConfigurationRow {
            id: 0,
            configuration_id: self.draft.id.clone(),
            revision: 1,
            priority: self.draft.priority,
            kind,
            target_condition: self.draft.target_condition.clone(),
            reads_reported: self.reads_reported(kind, Limits::Usual)?,
            document: self.document(content.clone())?,
            created: self.now.ticks(),
            updated: self.now.ticks(),
        })
    }

    fn changed_row(
        &self,
        view: &View<'_>,
        mut row: ConfigurationRow,
    ) -> Result<ConfigurationRow, ConfigurationError> {
        let whose = format!("configuration {}", row.configuration_id);
        let stored: Document = view.decoded(&whose, serde_json::from_str(&row.document))?;
        let content = self.draft.content.as_ref();
        if content.is_some_and(|content| *content != stored.content) {
            return Err(ConfigurationError::ContentChanged(self.draft.id.clone()));
        }
        let limits = match row.target_condition == self.draft.target_condition {
            true => Limits::Stored,
            false => Limits::Usual,
        };
        row.revision += 1;
        row.priority = self.draft.priority;
        row.target_condition
            .clone_from(&self.draft.target_condition);
        row.reads_reported = self.reads_reported(row.kind, limits)?;
        row.document = self.document(stored.content)?;
        row.updated = self.now.ticks();
        Ok(row)
    }

    /// Reads the condition.
    fn reads_reported(
        &self,
        kind: ContentKind,
        limits: Limits,
    ) -> Result<bool, ConfigurationError> {
        Ok(parse_condition(kind, &self.draft.target_condition, limits)?.reads_reported())
    }

    fn document(&self, content: Value) -> Result<String, ConfigurationError> {
        let document = Document {
            schema_version: self.draft.schema_version.clone(),
            labels: self.draft.labels.clone(),
            content,
            metric_queries: self.draft.metric_queries.clone(),
        };
        serde_json::to_string(&document).map_err(|error| ConfigurationError::Content {
            path: String::new(),
            problem: error.to_string(),
        })
    }
}
