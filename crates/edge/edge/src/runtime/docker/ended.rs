//! Who ended a container's last run, by the events of the engine.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::TryStreamExt;
use ids::Timestamp;

use super::observed::is_stop_request;
use super::{Docker, EndedBy, Observed, RuntimeError};
use crate::clock;

/// The event of a stop comes this long after the exit at most, when the stop is complete.
const STOP_EVENT_WITHIN: i64 = 2;
/// Longest wait for the events, which end by themselves before that.
const EVENTS_WITHIN: Duration = Duration::from_secs(10);

impl Docker {
    pub(super) async fn ended_by_events(
        &self,
        found: &Observed,
        exit: Timestamp,
    ) -> Result<EndedBy, RuntimeError> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("container".to_owned(), vec![found.id.clone()]),
        ]);
        let (since, until) = window(found.started, exit, clock::now());
        let options = EventsOptions {
            since: Some(since.to_string()),
            until: Some(until.to_string()),
            filters: Some(filters),
        };
        let client = self.client().await?;
        let events = client.events(Some(options)).try_collect::<Vec<_>>();
        let Ok(events) = tokio::time::timeout(EVENTS_WITHIN, events).await else {
            return Ok(EndedBy::Unknown);
        };
        let events =
            events.map_err(|error| self.failed("tell what happened to a container", error))?;
        let has = |wanted: fn(&EventMessage) -> bool| events.iter().any(wanted);
        Ok(if has(is_stop_request) {
            EndedBy::Request
        } else if has(|event| event.action.as_deref() == Some("die")) {
            EndedBy::Itself
        } else {
            EndedBy::Unknown
        })
    }
}

/// The first and last second of the events that matter. The engine sends no end of events before
/// their last second has passed, and an exit before the clock was set back may be years ahead.
fn window(started: Option<Timestamp>, exit: Timestamp, now: Timestamp) -> (i64, i64) {
    let until = if exit > now {
        now.unix_seconds()
    } else {
        exit.unix_seconds().saturating_add(STOP_EVENT_WITHIN)
    };
    // The engine refuses a first second after the last.
    let since = started.unwrap_or(exit).unix_seconds().min(until);
    (since, until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000_000 + seconds)
    }

    #[test]
    fn events_after_now_are_awaited_for_a_moment_only() {
        let seconds = |since: i64, until: i64| (1_000_000_000 + since, 1_000_000_000 + until);
        assert_eq!(window(Some(at(5)), at(10), at(100)), seconds(5, 12));
        assert_eq!(window(Some(at(5)), at(10), at(10)), seconds(5, 12));
        let year = 365 * 24 * 3600;
        assert_eq!(window(Some(at(5)), at(year), at(10)), seconds(5, 10));
        assert_eq!(window(Some(at(year)), at(year), at(10)), seconds(10, 10));
        assert_eq!(window(None, at(year), at(10)), seconds(10, 10));
    }
}
