//! What a request says before anything of it is proven.

use pki::{Certificate, KeyType, PrivateKey, RequestClaim, RequestError, RequestKey};

use crate::openssl::Workshop;

fn claim(shop: &Workshop, file: &str) -> RequestClaim {
    RequestClaim::read(shop.read(file).as_bytes()).unwrap()
}

#[test]
fn a_request_is_for_the_subject_of_a_certificate_however_it_is_spelled() {
    let shop = Workshop::new();
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key";
    shop.openssl(&format!(
        "{new} -x509 -days 30 -out a.pem -subj /O=Contoso/CN=press-7"
    ));
    let certificate = Certificate::parse_one(shop.read("a.pem").as_bytes()).unwrap();
    for (subject, same) in [
        ("/O=Contoso/CN=press-7", true),
        ("/O=CONTOSO/CN=Press-7", true),
        ("/CN=press-7", false),
        ("/O=Contoso/CN=press-8", false),
        ("/CN=press-7/O=Contoso", false),
    ] {
        shop.openssl(&format!("{new} -out a.csr -subj {subject}"));
        assert_eq!(
            claim(&shop, "a.csr").has_subject_of(&certificate),
            same,
            "{subject}"
        );
    }
}

#[test]
fn a_claim_needs_no_signature_and_takes_another_key() {
    let shop = Workshop::new();
    shop.openssl(
        "req -new -newkey rsa:2048 -nodes -keyout a.key -outform DER -out a.der -subj /CN=press-7",
    );
    let mut der = std::fs::read(shop.path().join("a.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    assert!(matches!(
        pki::prove_request(&der),
        Err(RequestError::Signature)
    ));
    let claim = RequestClaim::read(&der).unwrap();
    assert_eq!(claim.common_name(), Some("press-7"));
    assert_eq!(claim.kind(), Some(RequestKey::Rsa));
    assert!(!claim.wants_encrypted_key());
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let proven = claim.with_key(&key).unwrap();
    assert_eq!(
        (proven.common_name(), proven.kind()),
        (Some("press-7"), RequestKey::P256)
    );
    assert!(RequestClaim::read(&der[..der.len() / 2]).is_err());
}

#[test]
fn a_request_that_wants_its_key_encrypted_says_so() {
    let shop = Workshop::new();
    std::fs::write(
        shop.path().join("req.cnf"),
        "[req]\ndistinguished_name=dn\nattributes=more\nprompt=no\n[dn]\nCN=press-7\n\
         [more]\n1.2.840.113549.1.9.16.2.37=abc\n",
    )
    .unwrap();
    shop.openssl("req -new -newkey rsa:2048 -nodes -keyout a.key -out a.csr -config req.cnf");
    assert!(claim(&shop, "a.csr").wants_encrypted_key());
}
