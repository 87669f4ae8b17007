//! The text of a query: `SELECT * FROM devices [WHERE condition]`.

use registry::condition::Condition;
use registry::query::ParseError;

use super::QueryError;

/// Longest query, in bytes.
const MAX_QUERY: usize = 8 * 1024;

/// Parses a query; keywords in any letter case. Positions count characters from 0. A query without
/// `WHERE` has no condition.
pub(super) fn parse(text: &str) -> Result<Option<Condition>, QueryError> {
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
    let position = words.position();
    let condition = match words.next() {
        None => None,
        Some(word) if word.eq_ignore_ascii_case("where") => Some(words.condition()?),
        Some(word) => {
            let what = format!("{word:?}");
            return Err(QueryError::NotOffered { what, position });
        }
    };
    Ok(condition)
}

/// Words of a query with their positions.
struct Words<'a> {
    text: &'a str,
    /// Byte position of what follows.
    at: usize,
}

impl<'a> Words<'a> {
    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    /// Position of the next word, in characters.
    fn position(&mut self) -> usize {
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

    fn condition(&mut self) -> Result<Condition, QueryError> {
        let offset = self.position();
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            let problem = "a condition was expected".to_owned();
            return Err(QueryError::Invalid {
                position: offset,
                problem,
            });
        }
        Condition::parse(rest).map_err(|error: ParseError| QueryError::Invalid {
            position: error.position + offset,
            problem: error.problem,
        })
    }

    fn expect(&mut self, keyword: &str, problem: &str) -> Result<(), QueryError> {
        let position = self.position();
        match self.next() {
            Some(word) if word.eq_ignore_ascii_case(keyword) => Ok(()),
            _ => Err(QueryError::Invalid {
                position,
                problem: problem.to_owned(),
            }),
        }
    }

    fn expect_only(&mut self, offered: &str, kind: &str) -> Result<(), QueryError> {
        let position = self.position();
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
    fn offered_queries_parse_in_any_case() {
        for text in [
            "SELECT * FROM devices",
            " select  *  from\tDevices ",
            "select * from devices where tags.site = 'a'",
        ] {
            parse(text).unwrap();
        }
    }

    #[test]
    fn an_error_names_what_is_not_offered_and_its_position() {
        for (text, position, named) in [
            ("select deviceId from devices", 7, "projection"),
            ("select * from devices.modules", 14, "collection"),
            ("select * from devices group by tags.a", 22, "group"),
        ] {
            match parse(text) {
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
    fn positions_of_errors_count_from_the_start_of_the_query() {
        for (text, least) in [
            ("selct * from devices", 0),
            ("select * from devices where tags.a = = 1", 28),
        ] {
            match parse(text) {
                Err(QueryError::Invalid { position, .. }) => {
                    assert!(position >= least, "{position}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
