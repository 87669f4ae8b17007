//! Where certificate requests come from: files, a folder, or one text with many of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{CaError, files};

/// More than a million requests in one text.
const MAX_TEXT_BYTES: u64 = 2 << 30;

/// The files of a folder that are read; others are counted and left alone.
const EXTENSIONS: [&str; 5] = ["csr", "pem", "req", "p10", "der"];

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// Requests that are to be signed, not yet read or parsed.
#[derive(Debug)]
pub struct RequestSource {
    items: Vec<Item>,
    ignored_files: usize,
}

/// What is handled and counted as one.
#[derive(Debug)]
pub(super) enum Item {
    /// A file, which may hold several requests.
    File(PathBuf),
    /// One request of a text that is in memory.
    Block(RawRequest),
}

/// The bytes of one request, PEM or DER, or why there are none.
#[derive(Debug)]
pub(super) struct RawRequest {
    /// Where it is, for people: a file, and a line where there are several.
    pub(super) origin: String,
    pub(super) bytes: Result<Vec<u8>, String>,
}

impl RequestSource {
    /// A file, or a folder whose files are read in the order of their names.
    pub fn path(path: &Path) -> Result<Self, CaError> {
        let failed = |source| CaError::Read {
            path: path.to_owned(),
            source,
        };
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            let file = fs::File::open(path).map_err(failed)?;
            return Self::text(&path.display().to_string(), file).map_err(failed);
        }
        let (mut found, mut ignored_files) = (Vec::new(), 0);
        for entry in fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match is_request_file(&path) {
                true => found.push(path),
                false => ignored_files += 1,
            }
        }
        found.sort_unstable();
        Ok(Self {
            items: found.into_iter().map(Item::File).collect(),
            ignored_files,
        })
    }

    /// One text with any number of requests, for example standard input.
    pub fn text(name: &str, source: impl Read) -> std::io::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::new());
        source.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            let problem = format!("more than {MAX_TEXT_BYTES} bytes");
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                problem,
            ));
        }
        Ok(Self {
            items: split(name, bytes).into_iter().map(Item::Block).collect(),
            ignored_files: 0,
        })
    }

    /// How many files, or requests of one text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many files and folders of the folder are not looked at: their names end neither in
    /// `.csr`, `.pem`, `.req`, `.p10` nor in `.der`.
    #[must_use]
    pub fn ignored_files(&self) -> usize {
        self.ignored_files
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }
}

fn is_request_file(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    EXTENSIONS
        .iter()
        .any(|one| extension.eq_ignore_ascii_case(one))
        && path.is_file()
}

impl Item {
    /// Calls `each` with every request of this item.
    pub(super) fn read<R>(&self, each: impl Fn(&RawRequest) -> R) -> Vec<R> {
        let path = match self {
            Self::Block(one) => return vec![each(one)],
            Self::File(path) => path,
        };
        let name = path.display().to_string();
        let requests = match files::read_bytes(path) {
            Ok(bytes) => split(&name, bytes),
            Err(error) => vec![RawRequest {
                origin: name,
                bytes: Err(with_cause(&error)),
            }],
        };
        requests.iter().map(each).collect()
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    }
}

/// Cuts a text into its requests. Keys and parameters, which tools write into the same file, are
/// left alone. A text without PEM blocks is one request in DER.
fn split(name: &str, mut bytes: Zeroizing<Vec<u8>>) -> Vec<RawRequest> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let (mut offset, mut blocks) = (0, 0);
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        if line.starts_with(BEGIN) {
            if let Some((line, _)) = open {
                found.push(unfinished(name, line));
            }
            (open, blocks) = (Some((number, offset)), blocks + 1);
        }
        offset += line.len();
        if line.starts_with(END)
            && let Some((line, start)) = open.take()
        {
            let block = &bytes[start..offset];
            if !is_key(block) {
                found.push(RawRequest {
                    origin: format!("{name}, line {line}"),
                    bytes: Ok(block.to_vec()),
                });
            }
        }
    }
    if let Some((line, _)) = open {
        found.push(unfinished(name, line));
    }
    if blocks == 0 {
        found.push(RawRequest {
            origin: name.to_owned(),
            bytes: Ok(std::mem::take(&mut *bytes)),
        });
    } else if found.is_empty() {
        found.push(RawRequest {
            origin: name.to_owned(),
            bytes: Err("it holds a key and no certificate request".to_owned()),
        });
    }
    if let [one] = found.as_mut_slice() {
        name.clone_into(&mut one.origin);
    }
    found
}

fn unfinished(name: &str, line: usize) -> RawRequest {
    RawRequest {
        origin: format!("{name}, line {line}"),
        bytes: Err("its PEM block does not end".to_owned()),
    }
}

fn is_key(block: &[u8]) -> bool {
    let label = block[BEGIN.len()..].split(|byte| *byte == b'\n').next();
    let label = String::from_utf8_lossy(label.unwrap_or_default());
    let label = label.trim_end().trim_end_matches('-');
    label.ends_with("PRIVATE KEY") || label.ends_with("PARAMETERS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Vec<(String, bool)> {
        let found = split("f", Zeroizing::new(text.as_bytes().to_vec()));
        let each = |one: RawRequest| (one.origin, one.bytes.is_ok());
        found.into_iter().map(each).collect()
    }

    #[test]
    fn a_text_is_cut_at_its_blocks_and_a_broken_one_costs_only_itself() {
        let good = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let torn = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n";
        assert_eq!(origins(good), [("f".to_owned(), true)]);
        assert_eq!(origins(&format!("{key}{good}")), [("f".to_owned(), true)]);
        assert_eq!(
            origins(&format!("{good}{torn}{good}Subject: CN=x\n{torn}")),
            [
                ("f, line 1".to_owned(), true),
                ("f, line 4".to_owned(), false),
                ("f, line 6".to_owned(), true),
                ("f, line 10".to_owned(), false),
            ]
        );
        assert_eq!(origins("no PEM"), [("f".to_owned(), true)]);
        assert_eq!(origins(key), [("f".to_owned(), false)]);
        assert_eq!(origins(""), [("f".to_owned(), true)]);
    }
}
