//! ML-DSA: keys, requests, certificates, paths, lists and OCSP answers of an issuer that is an
//! experiment.

use std::time::Duration;

use ids::{ProfileKind, RegistrationId};
use pki::{
    Certificate, CrlFields, Issuer, IssuerCache, IssuingProfile, KeyType, MAX_REQUEST_BYTES, MlDsa,
    OcspAnswer, OcspStatus, PresentedChain, PrivateKey, Profile, ProfileConfig, RequestKey,
    RevocationReason, RevokedEntry, Serial, SignatureScheme, Subject, UnverifiedCrl, Validity,
    build_crl, build_ocsp_response, prepare, prove_request, verify_chain,
};
use rcgen::{CertificateParams, DnType};

use crate::toy::{NOW, RcgenKey, key};

const DAY: Duration = Duration::from_secs(86_400);

fn new_key(level: MlDsa) -> PrivateKey {
    PrivateKey::generate(KeyType::MlDsa(level)).unwrap()
}

fn issue(profile: Profile, name: &str, issuer: Option<&Issuer>, key: &PrivateKey) -> Certificate {
    let subject = Subject::common_name(name).unwrap();
    let (validity, serial) = (Validity::UpTo(DAY * 100), Serial::random().unwrap());
    let prepared = prepare(profile, &subject, issuer, validity, serial, NOW).unwrap();
    prepared.lint().unwrap().sign(key).unwrap()
}

fn hierarchy(root_key: &PrivateKey, key: &PrivateKey) -> (Certificate, Issuer) {
    let root = issue(Profile::Root { path_length: 2 }, "root", None, root_key);
    let by_root = Issuer::new(root.clone(), root_key.clone()).unwrap();
    let profile = Profile::Intermediate { path_length: 1 };
    let ca = issue(profile, "issuer", Some(&by_root), key);
    (root, Issuer::new(ca, key.clone()).unwrap())
}

fn request(key: &PrivateKey, name: &str) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&RcgenKey(key)).unwrap();
    request.der().to_vec()
}

fn profile(key_types: &[RequestKey]) -> IssuingProfile {
    IssuingProfile::new(ProfileConfig {
        kind: ProfileKind::EdgeIdentity,
        validity: DAY * 30,
        key_types: key_types.to_vec(),
    })
    .unwrap()
}

#[test]
fn keys_are_written_as_they_are_read_and_sign_what_is_theirs() {
    for level in MlDsa::ALL {
        let key = new_key(level);
        let again = PrivateKey::from_pem(&key.to_pem(), None).unwrap();
        assert_eq!(again.spki_der(), key.spki_der());
        let sealed = key.to_encrypted_pem(b"secret").unwrap();
        let opened = PrivateKey::from_pem(&sealed, Some(b"secret")).unwrap();
        let root = issue(Profile::Root { path_length: 0 }, "root", None, &opened);
        assert_eq!(root.key_name(), level.name());
        assert_eq!(root.signature_name(), level.name());
        let scheme = SignatureScheme::MlDsa(level);
        let signature = again.as_ref().sign(scheme, b"message").unwrap();
        assert!(root.verifies(b"message", &signature, scheme));
        assert!(!root.verifies(b"another", &signature, scheme));
        for other in MlDsa::ALL.into_iter().filter(|other| *other != level) {
            let scheme = SignatureScheme::MlDsa(other);
            assert!(again.as_ref().sign(scheme, b"message").is_err());
            assert!(!root.verifies(b"message", &signature, scheme));
        }
    }
}

#[test]
fn paths_with_ml_dsa_anywhere_are_valid_and_altered_ones_are_not() {
    let ml_dsa = new_key(MlDsa::Level65);
    for (root, issuer, leaf) in [
        (
            new_key(MlDsa::Level87),
            new_key(MlDsa::Level65),
            new_key(MlDsa::Level44),
        ),
        (new_key(MlDsa::Level65), key(0), key(1)),
        (key(0), ml_dsa.clone(), key(1)),
        (key(0), key(1), ml_dsa),
    ] {
        let (root, issuer) = hierarchy(&root, &issuer);
        let leaf = issue(Profile::EdgeIdentity, "edge-001", Some(&issuer), &leaf);
        let ca = issuer.certificate().clone();
        let chain = PresentedChain::from_certificates(vec![leaf.clone(), ca.clone()]).unwrap();
        let cache = IssuerCache::default();
        let verified = verify_chain(&chain, &root, NOW, &cache).unwrap();
        assert_eq!(verified.leaf().subject_common_name(), Some("edge-001"));
        // The last byte is one of the signature.
        let mut der = leaf.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        let forged = Certificate::from_der(&der).unwrap();
        let chain = PresentedChain::from_certificates(vec![forged, ca]).unwrap();
        let refused = verify_chain(&chain, &root, NOW, &cache);
        assert!(refused.is_err(), "{}", leaf.key_name());
    }
}

#[test]
fn requests_are_admitted_by_profiles_of_the_experiment_alone() {
    let id = RegistrationId::parse("edge-001").unwrap();
    let (_, issuer) = hierarchy(&new_key(MlDsa::Level65), &new_key(MlDsa::Level65));
    for level in MlDsa::ALL {
        let key = new_key(level);
        let der = request(&key, "edge-001");
        assert!(der.len() <= MAX_REQUEST_BYTES, "{}", der.len());
        let proven = prove_request(&der).unwrap();
        assert_eq!(proven.kind(), RequestKey::MlDsa(level));
        let usual = profile(&RequestKey::USUAL).admit(proven.clone(), Some(&id));
        assert_eq!(usual.unwrap_err().code(), "csr_key_type_forbidden");
        let admitted = profile(&RequestKey::EXPERIMENTAL)
            .admit(proven, Some(&id))
            .unwrap();
        let prepared = admitted
            .prepare(&issuer, Serial::random().unwrap(), NOW)
            .unwrap();
        let leaf = prepared.lint().unwrap().sign().unwrap();
        key.matches(&leaf).unwrap();
        assert!(leaf.is_signed_by(issuer.certificate()));
        let mut altered = der.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        assert!(prove_request(&altered).is_err());
    }
}

#[test]
fn an_issuer_with_such_a_key_publishes_lists_and_answers() {
    let (_, issuer) = hierarchy(&key(0), &new_key(MlDsa::Level65));
    let serial: &[u8] = &[0x41; 16];
    let fields = CrlFields {
        number: 1,
        this_update: NOW,
        next_update: NOW.plus(DAY),
        distribution_point: None,
    };
    let entry = RevokedEntry {
        serial,
        when: NOW,
        reason: RevocationReason::KeyCompromise,
    };
    let der = build_crl(&issuer, &fields, [entry]).unwrap();
    let list = UnverifiedCrl::read(der).unwrap();
    let verified = list.verify(issuer.certificate(), NOW).unwrap();
    assert_eq!(verified.len(), 1);
    // A CertID of any content: the answer repeats it.
    let cert_id = [0x30, 3, 2, 1, 1];
    let answer = OcspAnswer {
        cert_id: &cert_id,
        status: OcspStatus::Good,
        this_update: NOW,
        next_update: Some(NOW.plus(DAY)),
    };
    let response = build_ocsp_response(&issuer, &[answer], None, NOW).unwrap();
    assert!(
        response.len() > 3309,
        "the signature alone has as many bytes"
    );
}
