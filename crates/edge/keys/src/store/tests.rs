use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use pki::{PrivateKey, RsaHash, SignatureScheme};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::secrets::Secret;
use crate::{HiddenText, Source};

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn keys_at(folder: &Path, settings: Settings) -> Keys {
    Keys::in_folder(folder, settings).unwrap()
}

fn verifier(scheme: SignatureScheme) -> &'static dyn VerificationAlgorithm {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureScheme::EcdsaP521Sha512 => &signature::ECDSA_P521_SHA512_ASN1,
        SignatureScheme::Ed25519 => &signature::ED25519,
        SignatureScheme::MlDsa(level) => match level {
            pki::MlDsa::Level44 => &signature::ML_DSA_44,
            pki::MlDsa::Level65 => &signature::ML_DSA_65,
            pki::MlDsa::Level87 => &signature::ML_DSA_87,
        },
        SignatureScheme::RsaPkcs1(RsaHash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::RsaPkcs1(RsaHash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureScheme::RsaPkcs1(RsaHash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        SignatureScheme::RsaPss(RsaHash::Sha256) => &signature::RSA_PSS_2048_8192_SHA256,
        SignatureScheme::RsaPss(RsaHash::Sha384) => &signature::RSA_PSS_2048_8192_SHA384,
        SignatureScheme::RsaPss(RsaHash::Sha512) => &signature::RSA_PSS_2048_8192_SHA512,
    }
}

fn verifies(pair: &OpenPair, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(verifier(scheme), pair.signer.public_key().bits());
    key.verify(message, signature).is_ok()
}

/// Keys of every kind that is made.
static PAIRS: LazyLock<Vec<OpenPair>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys_at(dir.path(), Settings::default());
    let kinds = [
        KeyType::Ec,
        KeyType::Ec384,
        KeyType::Rsa2048,
        KeyType::Rsa3072,
    ];
    let made = kinds.iter().enumerate();
    made.map(|(number, kind)| {
        keys.make_pair(&id(&format!("key-{number}")), &[*kind])
            .unwrap()
    })
    .collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each kind of key signs by each of its schemes, a message or its digest, what others verify.
    #[test]
    fn every_kind_of_key_signs_what_its_public_half_verifies(
        message in proptest::collection::vec(any::<u8>(), 0..300),
        other in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for pair in PAIRS.iter() {
            for scheme in SignatureScheme::of_key(pair.signer.public_key().kind()) {
                let whole = pair.signer.sign(*scheme, &message).unwrap();
                prop_assert!(verifies(pair, *scheme, &message, &whole));
                prop_assert_eq!(verifies(pair, *scheme, &other, &whole), message == other);
                let digest = scheme.digest(&message).unwrap();
                let digested = pair.signer.sign_digest(*scheme, &digest).unwrap();
                prop_assert!(verifies(pair, *scheme, &message, &digested));
                prop_assert!(pair.signer.sign_digest(*scheme, &digest[1..]).is_err());
            }
        }
    }

    /// What is encrypted is read only with the same key, vector and additional data.
    #[test]
    fn encrypted_data_is_bound_to_key_vector_and_module(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        iv in proptest::collection::vec(any::<u8>(), 0..40),
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys_at(dir.path(), Settings::default());
        let (one, two) = (keys.make_secret(&id("one")).unwrap(), keys.make_secret(&id("two")).unwrap());
        let sealed = one.encrypt(&iv, &aad, &text).unwrap();
        prop_assert_ne!(&one.encrypt(&iv, &aad, &text).unwrap(), &sealed, "a nonce is used once");
        prop_assert_eq!(&*one.decrypt(&iv, &aad, &sealed).unwrap(), &text);
        prop_assert!(two.decrypt(&iv, &aad, &sealed).is_err());
        prop_assert!(one.decrypt(&[&iv[..], b"x"].concat(), &aad, &sealed).is_err());
        prop_assert!(one.decrypt(&iv, &[&aad[..], b"x"].concat(), &sealed).is_err());
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= 1;
        prop_assert!(one.decrypt(&iv, &aad, &changed).is_err());
        prop_assert!(one.decrypt(&iv, &aad, &sealed[..sealed.len() - 1]).is_err());
    }
}

#[test]
fn a_key_is_made_once_and_found_again_with_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("keyd/keys");
    let keys = keys_at(&folder, Settings::default());
    assert!(matches!(
        keys.pair(&KeyId::device()),
        Err(KeyError::NotFound(_))
    ));
    let made = keys.make_pair(&KeyId::device(), &[KeyType::Ec]).unwrap();
    let secret = keys.make_secret(&KeyId::master()).unwrap();
    drop(keys);
    let keys = keys_at(&folder, Settings::default());
    let again = keys
        .make_pair(&KeyId::device(), &[KeyType::Rsa2048])
        .unwrap();
    assert_eq!(again.signer.public_key(), made.signer.public_key());
    let same = keys.make_secret(&KeyId::master()).unwrap();
    assert_eq!(same.hmac(b"x"), secret.hmac(b"x"));
    assert_eq!(same.fingerprint(), secret.fingerprint());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(
        std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(
        keys.secret(&KeyId::device()).is_err(),
        "a key pair is no symmetric key"
    );
    assert!(
        keys.pair(&KeyId::master()).is_err(),
        "a symmetric key is no key pair"
    );
}

#[test]
fn a_moved_key_takes_the_place_of_the_old_one_and_a_deleted_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys_at(dir.path(), Settings::default());
    let (now, next) = (KeyId::device(), KeyId::next_device());
    keys.make_pair(&now, &[KeyType::Ec]).unwrap();
    let new = keys.make_pair(&next, &[KeyType::Ec]).unwrap();
    keys.move_pair(&next, &now).unwrap();
    let found = keys.pair(&now).unwrap();
    assert_eq!(found.signer.public_key(), new.signer.public_key());
    assert_eq!(
        keys.pair(&next).unwrap_err(),
        KeyError::NotFound(next.clone())
    );
    assert_eq!(
        keys.move_pair(&next, &now).unwrap_err(),
        KeyError::NotFound(next)
    );
    assert!(keys.delete_secret(&now).is_err());
    keys.delete_pair(&now).unwrap();
    assert!(matches!(keys.delete_pair(&now), Err(KeyError::NotFound(_))));
}

#[test]
fn what_the_configuration_names_comes_first_and_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, key) = (
        dir.path().join("key.pem"),
        PrivateKey::generate(KeyType::Ec).unwrap(),
    );
    std::fs::write(&file, key.to_pem().as_bytes()).unwrap();
    let folder = dir.path().join("keys");
    let keys = keys_at(&folder, Settings::default());
    keys.make_pair(&KeyId::device(), &[KeyType::Ec]).unwrap();
    let mut settings = Settings::default();
    settings
        .sources
        .insert(KeyId::device(), Source::File(file.clone()));
    keys.configure(settings);
    let own = |key: &PrivateKey| AsRef::<Signer>::as_ref(key).public_key().clone();
    assert_eq!(
        *keys.pair(&KeyId::device()).unwrap().signer.public_key(),
        own(&key)
    );
    assert!(keys.delete_pair(&KeyId::device()).is_err());
    let other = keys.make_pair(&id("other"), &[KeyType::Ec]).unwrap();
    assert!(keys.move_pair(&id("other"), &KeyId::device()).is_err());
    assert_eq!(
        keys.pair(&id("other")).unwrap().signer.public_key(),
        other.signer.public_key()
    );

    // A file that is replaced under the same name is read again, in DER too.
    let next = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    std::fs::write(&file, next.pkcs8_der().secret_pkcs8_der()).unwrap();
    assert_eq!(
        *keys.pair(&KeyId::device()).unwrap().signer.public_key(),
        own(&next)
    );
    std::fs::remove_file(&file).unwrap();
    let gone = keys.pair(&KeyId::device()).unwrap_err().to_string();
    assert!(gone.contains("key.pem does not exist"), "{gone}");
    std::fs::write(&file, "hello").unwrap();
    let broken = keys.pair(&KeyId::device()).unwrap_err().to_string();
    assert!(
        broken.contains("key.pem: there is no private key in it"),
        "{broken}"
    );
}

#[test]
fn a_symmetric_key_comes_from_a_file_or_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, [7; 32]).unwrap();
    let inline = HiddenText::new("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc".to_owned());
    let mut settings = Settings::default();
    settings
        .sources
        .insert(id("file"), Source::File(file.clone()));
    settings
        .sources
        .insert(id("inline"), Source::Inline(inline));
    let keys = keys_at(&dir.path().join("keys"), settings);
    let (one, two) = (
        keys.secret(&id("file")).unwrap(),
        keys.secret(&id("inline")).unwrap(),
    );
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.hmac(b"x"), two.hmac(b"x"));
    keys.import_secret(&id("imported"), &[7; 32]).unwrap();
    keys.import_secret(&id("imported"), &[8; 32]).unwrap();
    let kept = keys.secret(&id("imported")).unwrap();
    assert_eq!(
        kept.fingerprint(),
        one.fingerprint(),
        "an import replaces nothing"
    );
    assert!(keys.import_secret(&id("long"), &[1; 257]).is_err());
    std::fs::write(&file, "").unwrap();
    let short = keys.secret(&id("file")).unwrap_err().to_string();
    assert!(short.contains("has 0 bytes"), "{short}");
}

#[test]
fn what_azures_daemon_encrypted_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys_at(dir.path(), Settings::default());
    keys.import_secret(&id("old"), &[9; 32]).unwrap();
    let secret = keys.secret(&id("old")).unwrap();
    let (iv, aad) = ([1; 12], b"module1234");
    // As Azure's: the caller's vector is the nonce, and the secret itself the key.
    let cipher = aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, &[9; 32]);
    let cipher = aws_lc_rs::aead::LessSafeKey::new(cipher.unwrap());
    let mut sealed = b"text".to_vec();
    let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(iv);
    let aad_of_cipher = aws_lc_rs::aead::Aad::from(aad.as_slice());
    cipher
        .seal_in_place_append_tag(nonce, aad_of_cipher, &mut sealed)
        .unwrap();
    let (text, tag) = sealed.split_at(4);
    let now = [&[2], text, tag].concat();
    let before = [&[1], tag, text].concat();
    for blob in [now, before] {
        assert_eq!(secret.decrypt(&iv, aad, &blob).unwrap().as_slice(), b"text");
        assert!(secret.decrypt(&[1; 16], aad, &blob).is_err());
    }
}

#[test]
fn an_older_key_file_is_adopted_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let (old, folder) = (dir.path().join("master-key"), dir.path().join("keys"));
    std::fs::write(&old, [5; 32]).unwrap();
    let keys = keys_at(&folder, Settings::default());
    assert!(files::adopt(&old, &folder, &KeyId::master()).unwrap());
    assert!(!old.exists());
    let adopted = keys.make_secret(&KeyId::master()).unwrap();
    let same = Secret::in_memory(Zeroizing::new(vec![5; 32]), &id("x"), String::new()).unwrap();
    assert_eq!(adopted.fingerprint(), same.fingerprint());
    // A second one stays where it is: nothing is lost.
    std::fs::write(&old, [6; 32]).unwrap();
    assert!(!files::adopt(&old, &folder, &KeyId::master()).unwrap());
    assert!(old.exists());
}

/// A file system may fail for a while; the key is made again only when it certainly does not exist.
#[test]
fn a_key_whose_file_cannot_be_looked_at_is_not_gone() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys_at(dir.path(), Settings::default());
    let id = id("device-id-1");
    let made = keys.make_pair(&id, &[KeyType::Ec]).unwrap();
    let (file, aside) = (dir.path().join(id.file_name()), dir.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    for failed in [keys.pair(&id), keys.make_pair(&id, &[KeyType::Ec])] {
        let error = failed.unwrap_err();
        assert!(matches!(error, KeyError::Unavailable(_)), "{error:?}");
    }
    let adopted = files::adopt(&aside, dir.path(), &id);
    assert!(adopted.is_err() && aside.exists());
    std::fs::rename(&aside, &file).unwrap();
    let again = keys.pair(&id).unwrap();
    assert_eq!(again.signer.public_key(), made.signer.public_key());
}

#[test]
fn no_key_is_ever_printed() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys_at(dir.path(), Settings::default());
    keys.import_secret(&id("s"), b"tulip-tulip-tulip-tulip")
        .unwrap();
    let secret = keys.open_secret(&id("s")).unwrap();
    let derived = secret.derived(b"tulip-of-the-module").unwrap();
    let pair = keys.make_pair(&id("p"), &[KeyType::Ec]).unwrap();
    let file = std::fs::read_to_string(dir.path().join(id("p").file_name())).unwrap();
    let printed = format!("{keys:?} {secret:?} {derived:?} {pair:?}");
    assert!(!printed.contains("tulip"), "{printed}");
    let body: String = file
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    assert!(!printed.contains(&body[..20]), "{printed}");
    let bytes = format!("{:?}", b"tulip");
    assert!(!printed.contains(&bytes[1..bytes.len() - 1]), "{printed}");
}
