//! Private keys: what is read, what is never shown.

use pki::{KeyError, KeyType, PrivateKey};

use crate::toy::{Toy, key};

#[test]
fn every_kind_is_made_written_and_read_again() {
    for kind in [
        KeyType::Ec,
        KeyType::Rsa2048,
        KeyType::Rsa3072,
        KeyType::Rsa4096,
    ] {
        let made = PrivateKey::generate(kind).unwrap();
        let read = PrivateKey::from_pem(&made.to_pem(), None).unwrap();
        assert_eq!(read.spki_der(), made.spki_der());
        assert_eq!(
            read.pkcs8_der().secret_pkcs8_der(),
            made.pkcs8_der().secret_pkcs8_der()
        );
    }
}

#[test]
fn encryption_needs_the_right_passphrase() {
    let made = key(0);
    let pem = made.to_encrypted_pem(b"correct horse").unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let read = |passphrase: Option<&[u8]>| PrivateKey::from_pem(&pem, passphrase);
    assert_eq!(
        read(Some(b"correct horse")).unwrap().spki_der(),
        made.spki_der()
    );
    assert_eq!(read(None).unwrap_err(), KeyError::PassphraseNeeded);
    assert_eq!(read(Some(b"wrong")).unwrap_err(), KeyError::WrongPassphrase);
    assert!(made.to_encrypted_pem(b"").is_err());
}

#[test]
fn a_key_belongs_to_its_certificate_only() {
    let root = Toy::root("root");
    let proof = root.key.matches(&root.certificate).unwrap();
    assert_eq!(proof.certificate(), &root.certificate);
    let fault = key(3).matches(&root.certificate).unwrap_err().to_string();
    assert!(
        fault.contains("does not belong to the certificate of CN=root"),
        "{fault}"
    );
}

#[test]
fn debug_shows_nothing() {
    let made = key(0);
    assert_eq!(format!("{made:?}"), "PrivateKey(P-256, redacted)");
}

#[test]
fn what_is_no_key_is_told_apart() {
    let certificate = Toy::root("root").certificate.to_pem();
    let two = format!("{}{}", key(0).to_pem().as_str(), key(1).to_pem().as_str());
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\
         \nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let read = |text: &str| PrivateKey::from_pem(text, None).unwrap_err();
    assert_eq!(read("hello"), KeyError::NoKey);
    assert_eq!(read(&certificate), KeyError::CertificateInstead);
    assert_eq!(read(&two), KeyError::Several);
    assert_eq!(read(old), KeyError::OldEncryption);
    let cut = key(0).to_pem().replace("-----END PRIVATE KEY-----", "");
    assert!(read(&cut).to_string().contains("does not end with"));
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(matches!(read(garbage), KeyError::Unreadable(_)));
}
