//! An append-only log of issued certificates: a Merkle tree with the hashing of RFC 9162, 2.1.
//!
//! A leaf is the byte 1, the SHA-256 of the CA certificate that issued, and the DER of the issued
//! certificate. A head of the tree is published as a checkpoint (c2sp.org/tlog-checkpoint) that
//! an Ed25519 key signed (c2sp.org/signed-note), a proof of a certificate as c2sp.org/tlog-proof.
//! Who has kept an earlier checkpoint finds out whether the log was rewritten.

mod checkpoint;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, LogKey, LogSigner, NoteError};
pub use proof::{
    LogProof, ProofError, consistency_text, parse_consistency, verify_consistency, verify_inclusion,
};
pub use tree::{
    Incomplete, LogHash, LogNodes, LogTree, consistency_path, inclusion_path, leaf_hash, tree_hash,
};
