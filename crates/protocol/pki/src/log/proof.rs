use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tree::{LogHash, node_hash};
use super::{Checkpoint, LogKey, NoteError};

const FORM: &str = "c2sp.org/tlog-proof@v1";

/// Longest path of a proof: a log has fewer than 2^63 leaves.
const MAX_PATH: usize = 126;

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The text has another form.
    #[error("the proof is not in the form of c2sp.org/tlog-proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint is not one of the log.
    #[error("the checkpoint of the proof does not hold")]
    Checkpoint(#[from] NoteError),
    /// The leaf is not in the tree.
    #[error("the certificate is not entry {index} of the log of {size} certificates")]
    NotIncluded {
        /// Its place by the proof.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The trees have no common beginning.
    #[error(
        "the log of {size} certificates does not begin with the one of {earlier}: its history was \
         rewritten, or the proof is of another log"
    )]
    Inconsistent {
        /// Leaves of the earlier tree.
        earlier: u64,
        /// Leaves of the later tree.
        size: u64,
    },
}

/// Verifies that a leaf is in a tree (RFC 9162, 2.1.3.2).
///
/// # Errors
/// [`ProofError::NotIncluded`].
pub fn verify_inclusion(
    leaf: &LogHash,
    index: u64,
    path: &[LogHash],
    checkpoint: &Checkpoint,
) -> Result<(), ProofError> {
    let size = checkpoint.size;
    let not_included = ProofError::NotIncluded { index, size };
    if index >= size {
        return Err(not_included);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(not_included);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    match last == 0 && hash == checkpoint.root {
        true => Ok(()),
        false => Err(not_included),
    }
}

/// Verifies that a tree begins with an earlier one (RFC 9162, 2.1.4.2).
///
/// # Errors
/// [`ProofError::Inconsistent`].
pub fn verify_consistency(
    earlier: &Checkpoint,
    later: &Checkpoint,
    path: &[LogHash],
) -> Result<(), ProofError> {
    let inconsistent = ProofError::Inconsistent {
        earlier: earlier.size,
        size: later.size,
    };
    let consistent = match (earlier.size, later.size) {
        (first, second) if first > second => false,
        (0, _) => path.is_empty(),
        (first, second) if first == second => path.is_empty() && earlier.root == later.root,
        _ => roots_of(earlier, later.size, path) == Some((earlier.root, later.root)),
    };
    match consistent {
        true => Ok(()),
        false => Err(inconsistent),
    }
}

/// The roots of the earlier and of the later tree by a path; `None` when it has another length.
fn roots_of(earlier: &Checkpoint, size: u64, path: &[LogHash]) -> Option<(LogHash, LogHash)> {
    let mut path = path.iter();
    let (mut node, mut last) = (earlier.size - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let first = match earlier.size.is_power_of_two() {
        true => earlier.root,
        false => *path.next()?,
    };
    let (mut old, mut new) = (first, first);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old, new))
}

/// The proof of one certificate, with the signed checkpoint that it leads to: all that an offline
/// verifier needs beside the key of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The place of the certificate in the log, from 0.
    pub index: u64,
    /// From the leaf upwards.
    pub path: Vec<LogHash>,
    /// The signed note.
    pub checkpoint: String,
}

impl LogProof {
    /// Reads a text of the form c2sp.org/tlog-proof.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let split = text.split_once("\n\n");
        let (head, checkpoint) = split.ok_or(ProofError::Malformed("there is no checkpoint"))?;
        let mut lines = head.lines();
        if lines.next() != Some(FORM) {
            return Err(ProofError::Malformed("its first line is another one"));
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|index| index.parse().ok());
        let index = index.ok_or(ProofError::Malformed("its second line has no index"))?;
        let path: Option<Vec<LogHash>> = lines.take(MAX_PATH + 1).map(parse_hash).collect();
        let path = path.filter(|path| path.len() <= MAX_PATH);
        Ok(Self {
            index,
            path: path.ok_or(ProofError::Malformed("a line is no hash"))?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Verifies that a leaf is where the proof says, in a tree whose head the log signed.
    pub fn verify(&self, leaf: &LogHash, key: &LogKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = key.open(&self.checkpoint)?;
        verify_inclusion(leaf, self.index, &self.path, &checkpoint)?;
        Ok(checkpoint)
    }
}

impl std::fmt::Display for LogProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FORM}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The hashes of a consistency proof, base64, a line for each.
#[must_use]
pub fn consistency_text(path: &[LogHash]) -> String {
    path.iter()
        .map(|hash| STANDARD.encode(hash) + "\n")
        .collect()
}

/// Reads what [`consistency_text`] writes.
pub fn parse_consistency(text: &str) -> Result<Vec<LogHash>, ProofError> {
    let path: Option<Vec<LogHash>> = text.lines().take(MAX_PATH + 1).map(parse_hash).collect();
    let path = path.filter(|path| path.len() <= MAX_PATH);
    path.ok_or(ProofError::Malformed("a line is no hash"))
}

pub(super) fn parse_hash(line: &str) -> Option<LogHash> {
    STANDARD.decode(line).ok()?.try_into().ok()
}
