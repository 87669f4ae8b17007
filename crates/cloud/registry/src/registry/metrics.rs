//! Custom metrics of configurations: how many rows their queries have.

use std::collections::BTreeMap;
use std::sync::Arc;

use ids::{ConfigurationId, HubName};
use store::{Lock, unit};

use super::Registry;
use super::queries::Connections;
use crate::deployment::ConfigurationRecord;
use crate::error::StorageError;
use crate::query::Query;

impl Registry {
    /// What the custom metrics of a configuration counted last; `None` when they were not evaluated
    /// since it was written, or the counts are damaged: they are counted again.
    pub fn metric_results(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<Option<BTreeMap<String, u64>>, StorageError> {
        self.inner.store.read(|view| {
            let text = view.metric_results(hub, id)?;
            let read = |text: String| {
                serde_json::from_str(&text)
                    .inspect_err(|error| {
                        tracing::warn!(
                            hub.name = %hub,
                            configuration.id = %id,
                            error = error as &dyn std::error::Error,
                            "the counts of metrics cannot be read: they are counted again"
                        );
                    })
                    .ok()
            };
            Ok(text.and_then(read))
        })
    }

    /// Counts the rows of each custom metric of a configuration, and stores the counts. A metric
    /// whose query fails is logged, and has no count.
    pub async fn evaluate_metrics(
        &self,
        hub: &HubName,
        record: &ConfigurationRecord,
        connections: &Arc<dyn Connections>,
    ) -> Result<(), StorageError> {
        let mut results = BTreeMap::new();
        for (name, text) in &record.metric_queries {
            let counted = match Query::parse(text) {
                Ok(query) => self.count_rows(hub, &Arc::new(query), connections).await,
                Err(error) => Err(error.into()),
            };
            match counted {
                Ok(rows) => drop(results.insert(name.clone(), rows)),
                Err(error) => tracing::warn!(
                    hub.name = %hub,
                    configuration.id = %record.id,
                    metric = name,
                    error = &error as &dyn std::error::Error,
                    "a metric has no count: its query failed"
                ),
            }
        }
        let (id, updated) = (record.id.clone(), record.updated.ticks());
        // Names and numbers have nothing that cannot be written.
        let text = serde_json::to_string(&results).unwrap_or_default();
        let note = unit(
            hub.clone(),
            |hub| vec![Lock::hub(hub)],
            |_, _| Ok::<_, StorageError>(()),
            move |hub, tx, ()| tx.write_metric_results(hub, &id, updated, &text),
        );
        self.inner.store.write_in_background(note).await
    }
}
