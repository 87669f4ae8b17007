//! Certification requests that the OpenSSL command line makes, and certificates for them.

use ids::ProfileKind;
use std::time::Duration;

use ids::{RegistrationId, Timestamp};
use pki::{
    AdmittedRequest, Issuer, IssuingProfile, KeyType, PrivateKey, Profile, ProfileConfig,
    RequestError, RequestKey, Serial, Subject, Validity, prepare, prove_request,
};

use crate::openssl::Workshop;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn id() -> RegistrationId {
    RegistrationId::parse("edge-001").unwrap()
}

fn admit(request: &[u8]) -> Result<AdmittedRequest, RequestError> {
    let profile = IssuingProfile::new(ProfileConfig {
        kind: ProfileKind::EdgeIdentity,
        validity: 9 * YEAR,
        key_types: RequestKey::USUAL.to_vec(),
    });
    profile.unwrap().admit(prove_request(request)?, Some(&id()))
}

fn admitted(shop: &Workshop, file: &str) -> Result<AdmittedRequest, RequestError> {
    admit(shop.read(file).as_bytes())
}

#[test]
fn what_openssl_makes_is_proven_in_both_forms() {
    let shop = Workshop::new();
    for (kind, algorithm) in [
        (RequestKey::P256, "ec -pkeyopt ec_paramgen_curve:P-256"),
        (RequestKey::P384, "ec -pkeyopt ec_paramgen_curve:P-384"),
        (RequestKey::Rsa, "rsa:2048"),
    ] {
        shop.openssl(&format!(
            "req -new -newkey {algorithm} -nodes -keyout a.key -out a.csr -subj \
             /O=Contoso/CN=Edge-001"
        ));
        let request = admitted(&shop, "a.csr").unwrap();
        assert_eq!(request.key(), kind);
        shop.openssl("req -in a.csr -outform DER -out a.der");
        let der = std::fs::read(shop.path().join("a.der")).unwrap();
        assert_eq!(admit(&der).unwrap().key(), kind);
        for position in [der.len() - 1, der.len() / 2] {
            let mut altered = der.clone();
            altered[position] ^= 1;
            assert!(admit(&altered).is_err(), "{kind:?} {position}");
        }
    }
}

#[test]
fn short_keys_other_names_and_other_texts_are_refused() {
    let shop = Workshop::new();
    shop.openssl(
        "req -new -newkey rsa:1024 -nodes -keyout a.key -out short.csr -subj /CN=edge-001",
    );
    assert_eq!(admitted(&shop, "short.csr").unwrap_err(), RequestError::Key);
    shop.openssl(
        "req -new -newkey rsa:2048 -sha1 -nodes -keyout a.key -out sha1.csr -subj /CN=edge-001",
    );
    assert_eq!(
        admitted(&shop, "sha1.csr").unwrap_err(),
        RequestError::Signature
    );
    shop.openssl("req -new -key a.key -out other.csr -subj /CN=edge-002");
    let other = admitted(&shop, "other.csr").unwrap_err();
    assert!(
        matches!(other, RequestError::CommonNameMismatch { .. }),
        "{other}"
    );
    shop.openssl("req -new -key a.key -out nobody.csr -subj /O=Contoso");
    assert_eq!(
        admitted(&shop, "nobody.csr").unwrap_err(),
        RequestError::NoCommonName
    );
    assert!(matches!(
        admitted(&shop, "a.key").unwrap_err(),
        RequestError::Pem(_)
    ));
    let twice = shop.read("other.csr").repeat(2);
    let twice = admit(twice.as_bytes()).unwrap_err();
    assert!(matches!(twice, RequestError::Pem(_)), "{twice}");
    let large = vec![0x30; pki::MAX_REQUEST_BYTES + 1];
    assert_eq!(admit(&large).unwrap_err(), RequestError::TooLarge);
    assert!(admit(b"").is_err());
}

#[test]
fn the_profile_decides_and_not_the_request() {
    let shop = Workshop::new();
    shop.openssl(
        "req -new -newkey rsa:2048 -nodes -keyout a.key -out a.csr -subj /O=Contoso/CN=edge-001 \
         -addext basicConstraints=critical,CA:TRUE -addext subjectAltName=DNS:bank.example \
         -addext keyUsage=keyCertSign",
    );
    let request = admitted(&shop, "a.csr").unwrap();
    let ca_key = PrivateKey::generate(KeyType::Ec).unwrap();
    let name = Subject::common_name("CA").unwrap();
    let root = Profile::Root { path_length: 0 };
    let ca = prepare(
        root,
        &name,
        None,
        Validity::UpTo(YEAR),
        Serial::random().unwrap(),
        NOW,
    );
    let ca = ca.unwrap().lint().unwrap().sign(&ca_key).unwrap();
    let issuer = Issuer::new(ca.clone(), ca_key).unwrap();
    let sign = || {
        let prepared = request.prepare(&issuer, Serial::random().unwrap(), NOW);
        prepared.unwrap().lint().unwrap().sign().unwrap()
    };
    let leaf = sign();
    assert_eq!(leaf.subject(), "CN=edge-001");
    assert!(!leaf.is_ca() && leaf.server_names().is_empty());
    assert_eq!(leaf.not_after(), ca.not_after());
    let key = PrivateKey::from_pem(&shop.read("a.key"), None).unwrap();
    assert!(key.matches(&leaf).is_ok());
    assert!(sign().serial_hex() != leaf.serial_hex());
}
