//! What other users of the machine import is never more than a symmetric key, and nobody waits for
//! a key that another one makes.

use std::sync::mpsc;
use std::time::Duration;

use pki::PrivateKey;

use super::*;
use crate::HiddenText;
use crate::handle::Handle;

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn reference(library: &str, token: &str) -> String {
    format!("PKCS#11 library: {library}\nPKCS#11 URI: pkcs11:token={token};object=device-id\n")
}

fn with_token() -> Settings {
    Settings {
        new_keys: Some(NewKeys {
            library: "/no/p.so".into(),
            slot: HiddenText::new("pkcs11:token=t?pin-value=tulip".to_owned()),
        }),
        ..Settings::default()
    }
}

#[test]
fn imported_bytes_are_never_the_place_of_a_key_or_a_key_pair() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::in_folder(dir.path(), with_token()).unwrap();
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let pem = key.to_pem();
    for bytes in [
        reference("/tmp/e.so", "t").as_bytes(),
        reference("/no/p.so", "t").as_bytes(),
        pem.as_bytes(),
        format!(" \n{}", pem.as_str()).as_bytes(),
        key.pkcs8_der().secret_pkcs8_der(),
    ] {
        let refused = keys.import_secret(&id("mine"), bytes).unwrap_err();
        assert!(matches!(refused, KeyError::Invalid(_)), "{refused}");
        let missing = keys.secret(&id("mine")).unwrap_err();
        assert_eq!(missing, KeyError::NotFound(id("mine")));
    }
}

#[test]
fn a_key_in_another_token_than_that_of_the_settings_is_refused_before_its_library_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::in_folder(dir.path(), with_token()).unwrap();
    for (library, token) in [("/tmp/e.so", "t"), ("/no/p.so", "other")] {
        let text = reference(library, token);
        std::fs::write(dir.path().join(id("k").file_name()), text).unwrap();
        for refused in [
            keys.pair(&id("k")).unwrap_err(),
            keys.secret(&id("k")).unwrap_err(),
        ] {
            let text = refused.to_string();
            assert!(text.contains("made in another PKCS#11 token"), "{text}");
            assert!(!text.contains("tulip"), "{text}");
        }
    }
}

#[test]
fn existing_keys_are_used_while_another_key_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Arc::new(Keys::in_folder(dir.path(), Settings::default()).unwrap());
    keys.make_secret(&KeyId::handles()).unwrap();
    keys.make_pair(&id("p"), &[KeyType::Ec]).unwrap();
    let is_made = keys.change();
    let (sender, answers) = mpsc::channel();
    let user = keys.clone();
    std::thread::spawn(move || {
        let handle = Handle::pair(&id("p")).issue(&user).unwrap();
        let read = Handle::read(&handle, &user).unwrap();
        user.make_pair(&read.key_id, &[KeyType::Ec]).unwrap();
        sender.send(read.key_id).unwrap();
    });
    let used = answers.recv_timeout(Duration::from_secs(20));
    drop(is_made);
    assert_eq!(used, Ok(id("p")));
}
