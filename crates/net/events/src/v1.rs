//! Version 1 of the format: one log for several owners, in files named `NUMBER.log`. It is only
//! read, to be imported into logs of this version.
//!
//! A frame: length of the payload (4 bytes, little-endian), CRC-32C of number and payload
//! (4), number (8), payload.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::error::EventLogError;
use crate::frame::MAX_RECORD;

const HEADER_BYTES: usize = 16;

/// One file of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1File {
    first: u64,
    path: PathBuf,
}

/// The content of a file of version 1.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct V1Records {
    /// Number and payload of each record, ascending.
    pub records: Vec<(u64, Vec<u8>)>,
    /// How many numbers among them cannot be read.
    pub missing: u64,
    /// A number above all that were given out, as far as the file tells.
    pub next: u64,
}

/// The files of version 1 in a folder, oldest first. A folder that does not exist has none.
pub fn files(folder: &Path) -> Result<Vec<V1File>, EventLogError> {
    let failed = |error| EventLogError::new("listing", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let text =
            |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
        let first = text(path.file_stem()).and_then(|stem| stem.parse().ok());
        if let (Some("log"), Some(first)) = (text(path.extension()).as_deref(), first) {
            files.push(V1File { first, path });
        }
    }
    files.sort_unstable_by_key(|file| file.first);
    Ok(files)
}

impl V1File {
    /// The number of the first record, as the file's name says.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file and skips damaged parts.
    pub fn read(&self) -> Result<V1Records, EventLogError> {
        let bytes = std::fs::read(&self.path);
        let bytes = bytes.map_err(|error| EventLogError::new("reading", &self.path, error))?;
        Ok(records(&bytes, self.first))
    }

    /// Deletes the file, once its records are in the present format.
    pub fn remove(&self) -> Result<(), EventLogError> {
        std::fs::remove_file(&self.path)
            .map_err(|error| EventLogError::new("deleting", &self.path, error))
    }
}

impl V1Records {
    /// Replaces the estimate of a damaged end by the first number of the file that follows.
    #[must_use]
    pub fn followed_by(mut self, first: u64) -> Self {
        self.missing = (self.missing + first).saturating_sub(self.next);
        self.next = first;
        self
    }
}

fn records(bytes: &[u8], first: u64) -> V1Records {
    let mut found = V1Records {
        next: first,
        ..V1Records::default()
    };
    let (mut at, mut skipped) = (0, 0_u64);
    while at + HEADER_BYTES <= bytes.len() {
        // Numbers had no gaps: no more records are missing than fit into the skipped bytes.
        let max = found.next + skipped / HEADER_BYTES as u64;
        match decode(&bytes[at..], found.next..=max) {
            Some((number, payload)) => {
                found.missing += number - found.next;
                found.records.push((number, payload.to_vec()));
                found.next = number + 1;
                at += HEADER_BYTES + payload.len();
                skipped = 0;
            }
            None => match bytes[at..].iter().position(|byte| *byte != 0) {
                Some(zeros) => {
                    let step = zeros.saturating_sub(HEADER_BYTES).max(1);
                    at += step;
                    skipped += step as u64;
                }
                None => break,
            },
        }
    }
    // The file ends in bytes that are not a record: there may have been records with numbers.
    let lost = skipped.div_ceil(HEADER_BYTES as u64);
    found.missing += lost;
    found.next += lost;
    found
}

/// Number and payload of the valid frame that `bytes` begin with, if its number is in `numbers`.
fn decode(bytes: &[u8], numbers: RangeInclusive<u64>) -> Option<(u64, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let found = u64::from_le_bytes(*number);
    // Before the checksum: after damage, every byte may begin a frame.
    if length > MAX_RECORD || !numbers.contains(&found) {
        return None;
    }
    let payload = rest.get(..length)?;
    let sum = crc32c::crc32c_append(crc32c::crc32c(number), payload);
    (u32::from_le_bytes(*crc) == sum).then_some((found, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_older_versions_are_read_around_damage() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/seeds/event_log");
        let read = |seed: &str| {
            let found = records(&std::fs::read(seeds.join(seed)).unwrap(), 1);
            for (number, payload) in &found.records {
                let is_it = *payload == format!("{{\"record\":{number}}}").into_bytes();
                assert!(is_it || seed == "gap", "{seed}: {number}");
            }
            let numbers: Vec<_> = found.records.iter().map(|(number, _)| *number).collect();
            (numbers, found.missing, found.next)
        };
        assert_eq!(read("five"), (vec![1, 2, 3, 4, 5], 0, 6));
        assert_eq!(read("five-padded"), (vec![1, 2, 3, 4, 5], 0, 6));
        assert_eq!(read("damaged-middle"), (vec![1, 2, 4, 5], 1, 6));
        assert_eq!(read("torn"), (vec![1, 2, 3, 4], 1, 6));
        // Numbers had no gaps: what follows one is not a record.
        assert_eq!(read("gap"), (vec![1], 1, 3));
        assert_eq!(read("empty"), (vec![], 0, 1));
    }

    #[test]
    fn the_name_of_the_next_file_says_what_is_missing_at_the_end() {
        let found = |missing, next| V1Records {
            records: Vec::new(),
            missing,
            next,
        };
        assert_eq!(found(0, 8).followed_by(8), found(0, 8));
        // One in the middle, and an estimate of seven where one was.
        assert_eq!(found(1 + 7, 14).followed_by(8), found(2, 8));
        assert_eq!(found(0, 5).followed_by(8), found(3, 8));
    }
}
