//! Values of columns as the types of rows.

use std::fmt;
use std::str::FromStr;

use ids::IdError;
use rusqlite::types::Type;
use rusqlite::{Error, Row};

/// A stored value that cannot be read. Says which column and what is wrong, never the value.
#[derive(Debug)]
pub(crate) struct Damage {
    column: &'static str,
    cause: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.cause)
    }
}

impl std::error::Error for Damage {}

/// Reads a text as an id.
pub(crate) fn id<T>(row: &Row<'_>, index: usize, column: &'static str) -> rusqlite::Result<T>
where
    T: FromStr<Err = IdError>,
{
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|error: IdError| {
        Error::FromSqlConversionFailure(
            index,
            Type::Text,
            Box::new(Damage {
                column,
                cause: error.problem().to_owned(),
            }),
        )
    })
}

/// Reads a text as one of the names of an enum.
pub(crate) fn named<T>(
    row: &Row<'_>,
    index: usize,
    column: &'static str,
    named: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    named(text).ok_or_else(|| {
        Error::FromSqlConversionFailure(
            index,
            Type::Text,
            Box::new(Damage {
                column,
                cause: "has an unknown name".to_owned(),
            }),
        )
    })
}
