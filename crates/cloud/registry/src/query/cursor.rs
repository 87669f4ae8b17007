//! Where the next page of a query starts, as clients carry it.

use serde::{Deserialize, Serialize};
use store::{TagEntry, TagValue};

use super::ast::Query;
use super::plan::{Plan, Source};
use crate::page::Continuation;

/// The row that a query has looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// Device id and module id, in this order.
    Identity(String, String),
    Tag(TagEntry),
    /// The key of a job's row.
    Job(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Which of the query's plans.
    pub(crate) plan: usize,
    /// How many rows `TOP` still allows.
    pub(crate) remaining: Option<u64>,
    pub(crate) at: Position,
}

/// The text of a cursor: the query that it belongs to, and two parts of a position.
#[derive(Serialize, Deserialize)]
struct Written(String, usize, Option<u64>, String, String);

impl Cursor {
    pub(crate) fn to_continuation(&self, query: &Query) -> Continuation {
        let (first, second) = match &self.at {
            Position::Identity(device, module) => (device.clone(), module.clone()),
            Position::Tag(entry) => (entry.value.as_str().to_owned(), entry.identity.to_string()),
            Position::Job(key) => (key.clone(), String::new()),
        };
        let query = format!("{:016x}", query.fingerprint);
        let written = Written(query, self.plan, self.remaining, first, second);
        // Texts and numbers can always be written.
        Continuation::after(&serde_json::to_string(&written).unwrap_or_default())
    }

    /// Reads a cursor; `None` when it belongs to another query.
    pub(crate) fn parse(
        continuation: &Continuation,
        query: &Query,
        plans: &[Plan],
    ) -> Option<Self> {
        let Written(of, plan, remaining, first, second) =
            serde_json::from_str(continuation.key()).ok()?;
        if of != format!("{:016x}", query.fingerprint) {
            return None;
        }
        let at = match plans.get(plan)?.source {
            Source::Devices(_) | Source::Configuration { .. } => Position::Identity(first, second),
            Source::Tags(_) => Position::Tag(TagEntry {
                value: TagValue::stored(first),
                identity: second.parse().ok()?,
            }),
            Source::Jobs => Position::Job(first),
        };
        Some(Self {
            plan,
            remaining,
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::plan::plans;

    #[test]
    fn a_cursor_belongs_to_its_query() {
        let query = |text: &str| Query::parse(text).unwrap();
        let one = query("SELECT TOP 9 * FROM devices WHERE tags.a = 'x'");
        let cursor = Cursor {
            plan: 0,
            remaining: Some(3),
            at: Position::Tag(TagEntry {
                value: TagValue::stored("4x".to_owned()),
                identity: 7,
            }),
        };
        let continuation = cursor.to_continuation(&one);
        assert_eq!(
            Cursor::parse(&continuation, &one, &plans(&one)),
            Some(cursor)
        );
        let other = query("SELECT TOP 9 * FROM devices WHERE tags.a = 'y'");
        assert_eq!(Cursor::parse(&continuation, &other, &plans(&other)), None);
        let no_cursor = Continuation::after("d1");
        assert_eq!(Cursor::parse(&no_cursor, &one, &plans(&one)), None);
    }
}
