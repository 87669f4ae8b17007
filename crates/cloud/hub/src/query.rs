//! Twin queries: so far `SELECT * FROM devices [WHERE condition]`, the condition being that of deployments.

use ids::HubName;
use registry::condition::{Condition, ConditionError, Facts};
use registry::{Continuation, IdentityRecord, PageRequest, StorageError, TwinRecord};

use crate::Hub;

/// Twins looked at for one page. A page may come back short, with a continuation.
const MAX_SCANNED: usize = 20_000;
/// Longest query, bytes.
const MAX_QUERY: usize = 8 * 1024;
/// Twins read at once.
const STEP: usize = 500;

/// Why a query was not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(
        "{what} is not offered yet at position {position}; queries are SELECT * FROM devices [WHERE condition]"
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
    /// Reads a query; keywords in any letter case. Positions count characters from 0.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_QUERY {
            let problem = format!(
                "the query has {} bytes; {MAX_QUERY} are allowed",
                text.len()
            );
            return Err(QueryError::Invalid {
                position: 0,
                problem,
            });
        }
        let mut words = Words { text, at: 0 };
        words.expect("select", "a query begins with SELECT")?;
        words.expect_only("*", "a projection")?;
        words.expect("from", "FROM was expected")?;
        words.expect_only("devices", "this collection")?;
        let position = words.here();
        let condition = match words.next() {
            None => None,
            Some(word) if word.eq_ignore_ascii_case("where") => Some(words.condition()?),
            Some(word) => {
                let what = format!("{word:?}");
                return Err(QueryError::NotOffered { what, position });
            }
        };
        Ok(Self { condition })
    }

    fn matches(&self, record: &TwinRecord) -> bool {
        let IdentityRecord::Device(device) = &record.identity else {
            return false;
        };
        let facts = Facts {
            device_id: device.device_id.as_str(),
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
            // Never more than is missing: the continuation of a page is where its last twin was.
            let step = if self.condition.is_none() {
                limit - found.len()
            } else {
                (limit - found.len()).min(STEP)
            };
            let page = hub
                .registry()
                .list_device_twins(name, &PageRequest { after, limit: step })
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

/// Words of a query with their positions.
struct Words<'a> {
    text: &'a str,
    /// Bytes taken.
    at: usize,
}

impl<'a> Words<'a> {
    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    /// Position of the next word, characters.
    fn here(&mut self) -> usize {
        self.skip_spaces();
        self.text[..self.at].chars().count()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let word = rest
            .split(char::is_whitespace)
            .next()
            .filter(|word| !word.is_empty())?;
        self.at += word.len();
        Some(word)
    }

    /// Everything that is left.
    fn condition(&mut self) -> Result<Condition, QueryError> {
        let offset = self.here();
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            let problem = "a condition was expected".to_owned();
            return Err(QueryError::Invalid {
                position: offset,
                problem,
            });
        }
        Condition::parse(rest).map_err(|error: ConditionError| QueryError::Invalid {
            position: error.position + offset,
            problem: error.problem,
        })
    }

    fn expect(&mut self, keyword: &str, problem: &str) -> Result<(), QueryError> {
        let position = self.here();
        match self.next() {
            Some(word) if word.eq_ignore_ascii_case(keyword) => Ok(()),
            _ => Err(QueryError::Invalid {
                position,
                problem: problem.to_owned(),
            }),
        }
    }

    fn expect_only(&mut self, offered: &str, kind: &str) -> Result<(), QueryError> {
        let position = self.here();
        match self.next() {
            Some(word) if word.eq_ignore_ascii_case(offered) => Ok(()),
            Some(word) => Err(QueryError::NotOffered {
                what: format!("{kind} ({word:?})"),
                position,
            }),
            None => Err(QueryError::Invalid {
                position,
                problem: format!("{offered} was expected"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_parses_in_any_case() {
        for text in [
            "SELECT * FROM devices",
            " select  *  from\tDevices ",
            "select * from devices where tags.site = 'a'",
        ] {
            DeviceQuery::parse(text).unwrap();
        }
    }

    #[test]
    fn what_is_not_offered_is_named_with_its_position() {
        for (text, position, named) in [
            ("select deviceId from devices", 7, "projection"),
            ("select * from devices.modules", 14, "collection"),
            ("select * from devices group by tags.a", 22, "group"),
        ] {
            match DeviceQuery::parse(text) {
                Err(QueryError::NotOffered {
                    what,
                    position: found,
                }) => {
                    assert_eq!(found, position);
                    assert!(what.contains(named), "{what}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn mistakes_have_their_position_in_the_whole_query() {
        for (text, least) in [
            ("selct * from devices", 0),
            ("select * from devices where tags.a = = 1", 28),
        ] {
            match DeviceQuery::parse(text) {
                Err(QueryError::Invalid { position, .. }) => {
                    assert!(position >= least, "{position}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
