//! The log of issued certificates: proofs of every size hold, and whatever was altered is found.

use std::collections::HashMap;
use std::convert::Infallible;

use ids::Thumbprint;
use pki::log::{
    Checkpoint, LogHash, LogKey, LogNodes, LogProof, LogSigner, NoteError, ProofError,
    consistency_path, inclusion_path, leaf_hash, tree_hash, verify_consistency, verify_inclusion,
};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

const ISSUER: Thumbprint = Thumbprint::from_bytes([3; 32]);

/// A log in memory. Its trees are made by RFC 9162's definition, from the leaves alone.
struct Log {
    leaves: Vec<LogHash>,
}

impl Log {
    fn new(size: u64) -> Self {
        let leaf = |index: u64| leaf_hash(&ISSUER, &index.to_be_bytes());
        let leaves = (0..size).map(leaf).collect();
        Self { leaves }
    }

    fn head(&self, size: u64) -> Checkpoint {
        Checkpoint {
            origin: "log".to_owned(),
            size,
            root: tree_hash(self, size).unwrap(),
        }
    }
}

fn by_definition(leaves: &[LogHash]) -> LogHash {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().try_into().unwrap();
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1][..], &by_definition(left), &by_definition(right)].concat())
        }
    }
}

impl LogNodes for Log {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<LogHash, Infallible> {
        let (from, to) = (index << level, (index + 1) << level);
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        Ok(by_definition(&self.leaves[from..to]))
    }
}

#[test]
fn proofs_of_all_small_sizes_hold() {
    const SIZE: u64 = 40;
    let log = Log::new(SIZE);
    for size in 0..=SIZE {
        let head = log.head(size);
        let leaves = &log.leaves[..usize::try_from(size).unwrap()];
        assert_eq!(head.root, by_definition(leaves));
        for (index, leaf) in (0..).zip(leaves) {
            let path = inclusion_path(&log, index, size).unwrap();
            verify_inclusion(leaf, index, &path, &head).unwrap();
            // Of no other place, leaf or size.
            let other = (index + 1) % size;
            if size > 1 {
                assert!(verify_inclusion(leaf, other, &path, &head).is_err());
            }
            assert!(verify_inclusion(&head.root, index, &path, &head).is_err() || size == 1);
        }
        for earlier in 1..=size {
            let path = consistency_path(&log, earlier, size).unwrap();
            verify_consistency(&log.head(earlier), &head, &path).unwrap();
        }
        verify_consistency(&log.head(0), &head, &[]).unwrap();
    }
}

proptest! {
    #[test]
    fn a_log_whose_past_was_altered_is_found_out(
        (size, at, earlier) in (2_u64..300, any::<u64>(), any::<u64>()),
        bit in 0_usize..256,
    ) {
        let log = Log::new(size);
        let (at, earlier) = (at % size, 1 + earlier % size);
        let mut altered = Log::new(size);
        altered.leaves[usize::try_from(at).unwrap()][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(altered.head(size).root != log.head(size).root);
        // No proof of the altered log leads to what was published.
        let leaf = log.leaves[usize::try_from(at).unwrap()];
        let path = inclusion_path(&altered, at, size).unwrap();
        prop_assert!(verify_inclusion(&leaf, at, &path, &altered.head(size)).is_err());
        let path = consistency_path(&altered, earlier, size).unwrap();
        let found = verify_consistency(&log.head(earlier), &altered.head(size), &path);
        // What comes after the earlier head was not promised yet.
        prop_assert_eq!(found.is_err(), at < earlier);
    }

    #[test]
    fn an_altered_or_cut_path_proves_nothing(
        (size, at) in (2_u64..300, any::<u64>()),
        (hash, bit) in (any::<proptest::sample::Index>(), 0_usize..256),
    ) {
        let log = Log::new(size);
        let at = at % size;
        let leaf = log.leaves[usize::try_from(at).unwrap()];
        let good = inclusion_path(&log, at, size).unwrap();
        let mut bad = good.clone();
        bad[hash.index(good.len())][bit / 8] ^= 1 << (bit % 8);
        let longer = [good.as_slice(), &[[0; 32]]].concat();
        for path in [bad.as_slice(), &good[1..], &longer] {
            prop_assert!(verify_inclusion(&leaf, at, path, &log.head(size)).is_err());
        }
    }
}

#[test]
fn a_leaf_is_a_form_the_issuer_and_the_certificate() {
    use aws_lc_rs::digest::{SHA256, digest};
    let expected = digest(
        &SHA256,
        &[&[0, 1], ISSUER.as_bytes().as_slice(), b"der"].concat(),
    );
    assert_eq!(leaf_hash(&ISSUER, b"der").as_slice(), expected.as_ref());
}

#[test]
fn a_proof_is_a_text_that_needs_the_key_alone() {
    let signer = LogSigner::generate().unwrap();
    let again = LogSigner::from_pkcs8(&signer.to_pkcs8().unwrap()).unwrap();
    let key = LogKey::parse(&again.key("log").to_string()).unwrap();
    let log = Log::new(13);
    let proof = LogProof {
        index: 5,
        path: inclusion_path(&log, 5, 13).unwrap(),
        checkpoint: signer.sign(&log.head(13)),
    };
    let text = proof.to_string();
    let read = LogProof::parse(&text).unwrap();
    assert_eq!(read, proof);
    assert_eq!(read.verify(&log.leaves[5], &key).unwrap(), log.head(13));
    // Nothing in the text can be altered.
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 4;
        let Ok(altered) = String::from_utf8(bytes) else {
            continue;
        };
        let verified = LogProof::parse(&altered).and_then(|one| one.verify(&log.leaves[5], &key));
        assert!(verified.is_err(), "byte {at}: {altered}");
    }
}

#[test]
fn a_checkpoint_of_another_key_or_name_is_refused() {
    let (signer, other) = (
        LogSigner::generate().unwrap(),
        LogSigner::generate().unwrap(),
    );
    let head = Log::new(3).head(3);
    let note = signer.sign(&head);
    assert_eq!(signer.key("log").open(&note), Ok(head.clone()));
    assert_eq!(other.key("log").open(&note), Err(NoteError::NotSigned));
    assert_eq!(signer.key("other").open(&note), Err(NoteError::NotSigned));
    // Another log may sign beside: it is skipped.
    let line = other.sign(&head).lines().last().unwrap().to_owned();
    let both = note.replace("\u{2014} log", &format!("{line}\n\u{2014} log"));
    assert_eq!(signer.key("log").open(&both), Ok(head));
    for key in ["", "log", "log+00000000+AQ==", "log+zz"] {
        assert_eq!(LogKey::parse(key), Err(NoteError::BadKey));
    }
    assert_eq!(
        LogProof::parse("no proof\n\n"),
        Err(ProofError::Malformed("its first line is another one"))
    );
}

/// Every path reads few stored hashes, however long the log is.
#[test]
fn a_proof_reads_few_nodes() {
    struct Counted(std::cell::RefCell<HashMap<(u32, u64), u32>>);
    impl LogNodes for Counted {
        type Error = Infallible;
        fn node(&self, level: u32, index: u64) -> Result<LogHash, Infallible> {
            *self.0.borrow_mut().entry((level, index)).or_default() += 1;
            Ok([0; 32])
        }
    }
    let counted = Counted(Default::default());
    let size = (1 << 40) - 1;
    inclusion_path(&counted, 12_345, size).unwrap();
    consistency_path(&counted, 67_890, size).unwrap();
    assert!(counted.0.borrow().values().sum::<u32>() < 200);
}
