//! Values of columns as the types of rows.

use std::fmt;
use std::str::FromStr;

use ids::{CertificateSerial, IdError, Thumbprint};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Error, Row};

use crate::DeviceLocation;

/// A stored value that cannot be read. Says which column and what is wrong, never the value.
#[derive(Debug)]
pub(crate) struct Damage {
    column: &'static str,
    cause: String,
}

impl Damage {
    fn at(self, index: usize) -> Error {
        Error::FromSqlConversionFailure(index, Type::Text, Box::new(self))
    }
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
        let cause = error.problem().to_owned();
        Damage { column, cause }.at(index)
    })
}

/// Reads a text as an id; `None` where the column is NULL.
pub(crate) fn optional_id<T>(
    row: &Row<'_>,
    index: usize,
    column: &'static str,
) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err = IdError>,
{
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => id(row, index, column).map(Some),
    }
}

/// Reads a name that may be damaged, for people: what is no text is shown as well as it can be.
pub(crate) fn lossy(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
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
        let cause = "has an unknown name".to_owned();
        Damage { column, cause }.at(index)
    })
}

/// Reads a text as one of the names of an enum; `None` where the column is NULL.
pub(crate) fn optional_named<T>(
    row: &Row<'_>,
    index: usize,
    column: &'static str,
    name: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => named(row, index, column, name).map(Some),
    }
}

/// Reads hub and device id; `None` where one of them is NULL.
pub(crate) fn device(
    row: &Row<'_>,
    hub: usize,
    device_id: usize,
) -> rusqlite::Result<Option<DeviceLocation>> {
    let hub = optional_id(row, hub, "hub")?;
    let device_id = optional_id(row, device_id, "device id")?;
    let both = hub.zip(device_id);
    Ok(both.map(|(hub, device_id)| DeviceLocation { hub, device_id }))
}

pub(crate) fn thumbprint(row: &Row<'_>, index: usize) -> rusqlite::Result<Thumbprint> {
    row.get(index).map(Thumbprint::from_bytes)
}

pub(crate) fn serial(row: &Row<'_>, index: usize) -> rusqlite::Result<CertificateSerial> {
    let octets = row.get_ref(index)?.as_blob()?;
    CertificateSerial::from_bytes(octets).map_err(|error| {
        let cause = error.problem().to_owned();
        Damage {
            column: "serial",
            cause,
        }
        .at(index)
    })
}
