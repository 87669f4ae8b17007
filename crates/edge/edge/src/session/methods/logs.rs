//! Which logs a request means, and their lines.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use ids::{ModuleId, Timestamp};
use regex::bytes::Regex;
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::{LogsFilter, LogsItem};

use super::line::{LogLine, LogLines, regex};
use super::{MethodError, own_log};
use crate::provision::assignment::DeviceLocation;
use crate::report::agent_name;
use crate::runtime::{ModuleRuntime, RuntimeError};

/// `id` of a request that means all modules.
const ALL: &str = "all";

/// Where logs come from.
pub(super) struct LogSource<R> {
    pub(super) runtime: Arc<R>,
    /// The log of the daemon.
    pub(super) own_log: PathBuf,
    pub(super) location: DeviceLocation,
}

/// One log of a request.
#[derive(Debug, Clone)]
pub(super) struct LogJob {
    pub(super) module: ModuleId,
    /// Moments in it are still relative to now.
    pub(super) filter: LogsFilter,
    regex: Option<Regex>,
}

impl LogJob {
    fn wants(&self, line: &LogLine) -> bool {
        if self.filter.log_level.is_none() && self.regex.is_none() {
            return true;
        }
        let parts = line.parts();
        let level = self
            .filter
            .log_level
            .is_none_or(|level| level == parts.level);
        level
            && self
                .regex
                .as_ref()
                .is_none_or(|regex| regex.is_match(parts.text))
    }

    /// What the engine is asked for. It counts lines before a filter sees them.
    fn query(&self, now: Timestamp) -> LogsQuery {
        let LogsFilter {
            tail,
            since,
            until,
            log_level,
            regex,
        } = &self.filter;
        let filtered = log_level.is_some() || regex.is_some();
        LogsQuery {
            tail: tail.filter(|_| !filtered),
            since: since.map(|since| since.unix_seconds(now)),
            until: until.map(|until| until.unix_seconds(now)),
            ..LogsQuery::default()
        }
    }
}

impl<R: ModuleRuntime> LogSource<R> {
    /// The logs that are meant. For each module the first item counts whose `id` it matches.
    pub(super) async fn select(&self, items: &[LogsItem]) -> Result<Vec<LogJob>, MethodError> {
        let mut left: Vec<ModuleId> = vec![agent_name()];
        let found = self.runtime.list().await?;
        left.extend(found.into_iter().map(|container| container.module));
        let mut jobs = Vec::new();
        for item in items {
            let name = regex(&item.id, true).map_err(MethodError::Unusable)?;
            let text = item.filter.regex.as_deref();
            let text = text.map(|text| regex(text, false)).transpose();
            let text = text.map_err(MethodError::Unusable)?;
            let all = item.id.eq_ignore_ascii_case(ALL);
            let is_meant = |module: &ModuleId| all || name.is_match(module.as_str().as_bytes());
            let (meant, others) = left.into_iter().partition(is_meant);
            left = others;
            let meant: Vec<ModuleId> = meant;
            jobs.extend(meant.into_iter().map(|module| LogJob {
                module,
                filter: item.filter.clone(),
                regex: text.clone(),
            }));
        }
        jobs.sort_by(|a, b| a.module.cmp(&b.module));
        Ok(jobs)
    }

    /// The wanted lines of a log, in order. `tail` is left to the caller, unless the engine has
    /// cut the log already.
    pub(super) async fn lines(
        &self,
        job: &LogJob,
        now: Timestamp,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        let (query, job) = (job.query(now), job.clone());
        if job.module == agent_name() {
            let path = self.own_log.clone();
            // A panic in it would be a bug of this program, and leaves an empty log.
            let reading = tokio::task::spawn_blocking(move || own_log::lines(&path, &query));
            let lines = reading.await.unwrap_or_default().into_iter();
            let wanted = lines.filter(move |line| job.wants(line)).map(Ok);
            return Ok(futures_util::stream::iter(wanted).boxed());
        }
        let pieces = self.runtime.logs(&job.module, &query).await?;
        let mut lines = LogLines::default();
        let end = futures_util::stream::once(async { None });
        let complete = pieces.map(Some).chain(end).flat_map(move |piece| {
            let mut found = Vec::new();
            match piece {
                Some(Ok(piece)) => {
                    if let (Some(stream), Some(text)) = (piece.first(), piece.get(8..)) {
                        lines.push(*stream, text, |line| found.push(Ok(line)));
                    }
                }
                Some(Err(error)) => found.push(Err(error)),
                None => lines.end(|line| found.push(Ok(line))),
            }
            found.retain(|line| line.as_ref().map_or(true, |line| job.wants(line)));
            futures_util::stream::iter(found)
        });
        Ok(complete.boxed())
    }
}
