//! Twin queries: `SELECT * FROM devices [WHERE condition]`, with the conditions of deployments.

use ids::HubName;
use registry::condition::{Condition, Facts};
use registry::{Continuation, IdentityRecord, PageRequest, StorageError, TwinRecord};

use crate::service::Hub;

mod parser;

/// Twins read for one page. A page may be short and still have a continuation.
const MAX_SCANNED: usize = 20_000;
/// Twins read at once.
const BATCH: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(
        "{what} is not offered yet at position {position}; queries are SELECT * FROM devices \
         [WHERE condition]"
    )]
    NotOffered { what: String, position: usize },
    #[error("at position {position}: {problem}")]
    Invalid { position: usize, problem: String },
    #[error(transparent)]
    Continuation(#[from] registry::BadContinuation),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A query over the twins of a hub's devices.
#[derive(Debug, Clone)]
pub(crate) struct DeviceQuery {
    condition: Option<Condition>,
}

impl DeviceQuery {
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        let condition = parser::parse(text)?;
        Ok(Self { condition })
    }

    fn matches(&self, record: &TwinRecord) -> bool {
        let IdentityRecord::Device(device) = &record.identity else {
            return false;
        };
        let facts = Facts {
            device_id: device.device_id.as_str(),
            module_id: None,
            tags: &record.twin.tags,
            reported: &record.twin.reported.document,
        };
        self.condition
            .as_ref()
            .is_none_or(|condition| condition.matches(facts))
    }

    /// One page of at most `limit` twins, and where the next one starts.
    pub(crate) async fn page(
        &self,
        hub: &Hub,
        name: &HubName,
        after: Option<Continuation>,
        limit: usize,
    ) -> Result<(Vec<TwinRecord>, Option<Continuation>), QueryError> {
        let mut found = Vec::new();
        let (mut after, mut scanned) = (after, 0);
        loop {
            // No more than are missing: the continuation of a page is where its last twin was.
            let batch = if self.condition.is_none() {
                limit - found.len()
            } else {
                (limit - found.len()).min(BATCH)
            };
            let page = hub
                .registry()
                .list_device_twins(
                    name,
                    &PageRequest {
                        after,
                        limit: batch,
                    },
                )
                .await?;
            scanned += page.items.len();
            found.extend(page.items.into_iter().filter(|record| self.matches(record)));
            after = page.continuation;
            if after.is_none() || found.len() >= limit || scanned >= MAX_SCANNED {
                return Ok((found, after));
            }
        }
    }
}
