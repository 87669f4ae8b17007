//! The name of a file: serial, first number and salt.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "log2";

/// What identifies a file. Names sort in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Files follow each other in this order.
    pub(crate) serial: u64,
    /// No record of the file has a smaller number.
    pub(crate) first: u64,
    pub(crate) salt: u64,
}

impl SegmentName {
    pub(crate) fn path_in(&self, folder: &Path) -> PathBuf {
        let Self {
            serial,
            first,
            salt,
        } = self;
        folder.join(format!("{serial:010}-{first:020}-{salt:016x}.{EXTENSION}"))
    }

    /// Reads the name of a path; `None` when the log does not use names of this form. A name of a
    /// newer version is an error.
    pub(crate) fn parse(path: &Path) -> std::io::Result<Option<Self>> {
        match text(path.extension()) {
            Some(EXTENSION) => {}
            Some(other) if other.starts_with("log") => return Err(newer_version(path)),
            _ => return Ok(None),
        }
        let mut parts = text(path.file_stem()).unwrap_or_default().splitn(3, '-');
        let mut parse = || {
            let (serial, first, salt) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self {
                serial: serial.parse().ok()?,
                first: first.parse().ok().filter(|first| *first > 0)?,
                salt: u64::from_str_radix(salt, 16).ok()?,
            })
        };
        Ok(parse())
    }
}

fn text(part: Option<&OsStr>) -> Option<&str> {
    part.and_then(OsStr::to_str)
}

fn newer_version(path: &Path) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Error::new(
        ErrorKind::Unsupported,
        format!("{name} was written by a newer version; use the newer program"),
    )
}
