use aws_lc_rs::digest::{Context, SHA256};
use ids::Thumbprint;

/// The SHA-256 of a leaf or of a subtree.
pub type LogHash = [u8; 32];

/// The form of the leaves, which begin with it.
const LEAF_FORM: u8 = 1;

/// The stored hashes of a log: of its leaves (level 0), and of its complete subtrees, where
/// subtree `index` of a level has `2^level` leaves.
pub trait LogNodes {
    /// Why a hash cannot be read.
    type Error;

    /// The hash of a complete subtree.
    fn node(&self, level: u32, index: u64) -> Result<LogHash, Self::Error>;
}

/// The hashes of a log in memory, for verifiers that have all of its leaves.
#[derive(Debug, Clone, Default)]
pub struct LogTree {
    /// The hashes of each level's complete subtrees, the leaves first.
    levels: Vec<Vec<LogHash>>,
}

/// A subtree that the leaves do not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log does not have so many certificates")]
pub struct Incomplete;

impl LogTree {
    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: LogHash) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(node);
            match hashes.as_slice() {
                [.., left, right] if hashes.len().is_multiple_of(2) => {
                    node = node_hash(left, right)
                }
                _ => return,
            }
        }
    }

    /// The hashes of the leaves.
    #[must_use]
    pub fn leaves(&self) -> &[LogHash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }
}

impl LogNodes for LogTree {
    type Error = Incomplete;

    fn node(&self, level: u32, index: u64) -> Result<LogHash, Incomplete> {
        let (level, index) = (usize::try_from(level), usize::try_from(index));
        let (level, index) = (
            level.map_err(|_| Incomplete)?,
            index.map_err(|_| Incomplete)?,
        );
        let found = self.levels.get(level).and_then(|hashes| hashes.get(index));
        found.copied().ok_or(Incomplete)
    }
}

fn hash(parts: &[&[u8]]) -> LogHash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The hash of the leaf of a certificate. `issuer` is the SHA-256 of the CA certificate.
#[must_use]
pub fn leaf_hash(issuer: &Thumbprint, certificate: &[u8]) -> LogHash {
    hash(&[&[0, LEAF_FORM], issuer.as_bytes(), certificate])
}

pub(super) fn node_hash(left: &LogHash, right: &LogHash) -> LogHash {
    hash(&[&[1], left, right])
}

/// The hash of the tree of the first `size` leaves.
pub fn tree_hash<N: LogNodes>(nodes: &N, size: u64) -> Result<LogHash, N::Error> {
    match size {
        0 => Ok(hash(&[])),
        _ => range_hash(nodes, 0, size),
    }
}

/// The hash of the leaves from `begin` to before `end`, at least one, where RFC 9162 has a subtree.
fn range_hash<N: LogNodes>(nodes: &N, begin: u64, end: u64) -> Result<LogHash, N::Error> {
    let size = end - begin;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level, begin >> level);
    }
    let middle = begin + split(size);
    let left = range_hash(nodes, begin, middle)?;
    Ok(node_hash(&left, &range_hash(nodes, middle, end)?))
}

/// The largest power of two below a size of at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The hashes that lead from leaf `index` to the tree of `size` leaves, from the bottom
/// (RFC 9162, 2.1.3.1). `index` is below `size`.
pub fn inclusion_path<N: LogNodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<LogHash>, N::Error> {
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(range_hash(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_hash(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the tree of `size` leaves begins with those of the tree of
/// `earlier` leaves (RFC 9162, 2.1.4.1). `earlier` is at least 1 and at most `size`.
pub fn consistency_path<N: LogNodes>(
    nodes: &N,
    earlier: u64,
    size: u64,
) -> Result<Vec<LogHash>, N::Error> {
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while earlier != end {
        let middle = begin + split(end - begin);
        if earlier <= middle {
            path.push(range_hash(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_hash(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // The earlier tree is known to the verifier when it is this subtree as a whole.
    if begin > 0 {
        path.push(range_hash(nodes, begin, end)?);
    }
    path.reverse();
    Ok(path)
}
