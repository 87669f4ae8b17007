//! Files that cannot be read, may be read by others, or have another form.

use super::*;

#[test]
fn an_open_key_file_names_the_command() {
    let identity = TestIdentity::new();
    let key = fs::read(identity.path().join("key.pem")).unwrap();
    identity.file("key.pem", &key, 0o640);
    let error = identity.error();
    assert!(
        error.contains("mode 0640") && error.contains("run: chmod 600 "),
        "{error}"
    );
}

#[test]
fn missing_files_and_files_of_another_kind_are_named() {
    let identity = TestIdentity::new();
    fs::remove_file(identity.path().join("key.pem")).unwrap();
    assert!(identity.error().contains("key.pem does not exist"));
    let identity = TestIdentity::new();
    identity.file("key.pem", identity.leaf.to_pem().as_bytes(), 0o600);
    assert!(identity.error().contains("is this the certificate file?"));
    let identity = TestIdentity::new();
    identity.file("chain.pem", identity.text("key.pem").as_bytes(), 0o644);
    assert!(identity.error().contains("is this the key file?"));
    let identity = TestIdentity::new();
    identity.file("chain.pem", &vec![b'a'; 300_000], 0o644);
    assert!(identity.error().contains("more than 262144 bytes"));
}

/// Root may read everything, so that the refusal is looked at where it is made.
#[test]
fn an_unreadable_file_is_named() {
    let denied = super::super::files::problem_of(
        Path::new("/k.pem"),
        &std::io::ErrorKind::PermissionDenied.into(),
    );
    assert!(
        denied.contains("/k.pem may not be read by this user"),
        "{denied}"
    );
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// PEM as real tools and editors write it.
#[test]
fn files_of_other_editors_are_read() {
    let identity = TestIdentity::new();
    let (chain, key) = (identity.text("chain.pem"), identity.text("key.pem"));
    for (name, content) in [
        ("chain.pem", format!("\u{feff}{chain}").into_bytes()),
        ("chain.pem", chain.replace('\n', "\r\n").into_bytes()),
        ("chain.pem", utf16(&chain)),
        ("chain.pem", identity.leaf.der().to_vec()),
        ("key.pem", format!("\u{feff}{key}").into_bytes()),
        ("key.pem", key.replace('\n', "\r\n").into_bytes()),
        ("key.pem", der(&key)),
        (
            "chain.pem",
            [b"subject=O = Caf\xe9\n", chain.as_bytes()].concat(),
        ),
    ] {
        let before = identity.text(name);
        identity.file(name, &content, 0o600);
        let examined = identity.examine("", NOW);
        assert!(
            examined.credential.is_some(),
            "{name}: {:?}",
            examined.faults
        );
        identity.file(name, before.as_bytes(), 0o600);
    }
}

/// Everybody could exchange what the device believes.
#[test]
fn a_file_that_everybody_may_write_is_warned_about() {
    let identity = TestIdentity::new();
    let chain = identity.text("chain.pem");
    identity.file("chain.pem", chain.as_bytes(), 0o666);
    let examined = identity.examine("", NOW);
    assert!(examined.credential.is_some());
    let error = examined.faults[0].to_string();
    assert!(
        examined.faults.len() == 1
            && error.contains("identity_cert")
            && error.contains("can be written by everybody (mode 0666)"),
        "{error}"
    );
}

#[test]
fn files_in_other_forms_are_named_by_their_form() {
    let identity = TestIdentity::new();
    let key = identity.text("key.pem");
    let leaf = identity.leaf.to_pem();
    let header = [0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x30];
    let pfx = [&header[..], &[0; 252]].concat();
    for (name, content, expected) in [
        (
            "key.pem",
            utf16(&key),
            "UTF-16 text; convert it with: iconv",
        ),
        ("key.pem", der(&leaf), "is this the certificate file?"),
        (
            "key.pem",
            leaf.into_bytes(),
            "is this the certificate file?",
        ),
        ("key.pem", pfx.clone(), "PKCS#12 (.pfx, .p12) and not PEM"),
        ("chain.pem", pfx, "it is a PKCS#12 file"),
        ("chain.pem", der(&key), "is this the key file?"),
    ] {
        let before = identity.text(name);
        identity.file(name, &content, 0o600);
        let error = identity.error();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("openssl x509"), "{error}");
        identity.file(name, before.as_bytes(), 0o600);
    }
}

/// The device has no place for a passphrase. A command that encrypts again would not help.
#[test]
fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
    let identity = TestIdentity::new();
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let encrypted = key.to_encrypted_pem(b"secret").unwrap();
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: \
        DES-EDE3-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for text in [encrypted.as_str(), old] {
        identity.file("key.pem", text.as_bytes(), 0o600);
        let error = identity.error();
        assert!(
            error.contains(
                "the device has no place for one; decrypt it with: openssl pkey -in FILE -out NEW"
            ),
            "{error}"
        );
        assert!(
            !error.contains("give its passphrase") && !error.contains("topk8"),
            "{error}"
        );
    }
}
