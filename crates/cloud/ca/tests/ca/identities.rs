use std::sync::atomic::{AtomicUsize, Ordering};

use ca::{CaDirectory, Existing, IdentityKind, IdentityOptions, InitOptions, KeyType};
use zeroize::Zeroizing;

use crate::tools::{NOW, error_text, issue, openssl, path, text, verified_by_openssl};

#[test]
fn bulk_is_resumed_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let names: Vec<String> = (1..=60).map(|n| format!("sim-{n:06}")).collect();
    let options = IdentityOptions {
        existing: Existing::Skip,
        ..IdentityOptions::default()
    };
    let done = AtomicUsize::new(0);
    let progress = || {
        done.fetch_add(1, Ordering::Relaxed);
    };
    let outcome = ca
        .issue(
            &IdentityKind::EdgeIdentity,
            &names,
            &options,
            NOW,
            &progress,
        )
        .unwrap();
    let issued: Vec<&String> = outcome.issued.iter().map(|one| &one.name).collect();
    assert_eq!(issued, names.iter().collect::<Vec<_>>());
    assert_eq!(
        (outcome.skipped.len(), done.load(Ordering::Relaxed)),
        (0, 60)
    );

    // A run that was killed leaves a key without its certificate, which is written last.
    std::fs::remove_file(&outcome.issued[7].paths.certificate).unwrap();
    let resumed = ca
        .issue(
            &IdentityKind::EdgeIdentity,
            &names,
            &options,
            NOW,
            &progress,
        )
        .unwrap();
    assert_eq!((resumed.issued.len(), resumed.skipped.len()), (1, 59));
    let mended = &resumed.issued[0];
    let key = std::fs::read_to_string(&mended.paths.key).unwrap();
    pki::PrivateKey::from_pem(&key, None)
        .unwrap()
        .matches(&mended.certificate)
        .unwrap();
}

#[test]
fn bulk_does_not_skip_identities_of_another_hierarchy() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let options = IdentityOptions {
        existing: Existing::Skip,
        ..IdentityOptions::default()
    };
    issue(&ca, "sim-1", &options, NOW).unwrap();
    let force = InitOptions {
        force: true,
        ..InitOptions::default()
    };
    let other = CaDirectory::init(dir.path(), &force, NOW).unwrap();
    let fault = error_text(&issue(&other, "sim-1", &options, NOW).unwrap_err());
    assert!(
        fault.contains("another certificate authority issued it"),
        "{fault}"
    );
}

#[test]
fn encrypted_keys_open_with_their_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = Some(Zeroizing::new("correct horse".to_owned()));
    let options = InitOptions {
        passphrase: passphrase.clone(),
        ..InitOptions::default()
    };
    let ca = CaDirectory::init(dir.path(), &options, NOW).unwrap();
    for paths in [ca.root_paths(), ca.intermediate_paths()] {
        let key = path(&paths.key).to_owned();
        let open = |word: &str| openssl(&["pkey", "-noout", "-in", &key, "-passin", word]);
        open("pass:correct horse").unwrap();
        assert!(open("pass:wrong").is_err());
    }
    let without = CaDirectory::open(dir.path(), None).unwrap_err();
    assert!(error_text(&without).contains("intermediate.key.pem is not a usable private key file"));
    assert!(error_text(&without).contains("is encrypted; give its passphrase"));
    let wrong = CaDirectory::open(dir.path(), Some(b"wrong")).unwrap_err();
    assert!(error_text(&wrong).contains("the passphrase does not open"));
    let opened = CaDirectory::open(dir.path(), Some(b"correct horse")).unwrap();

    let sealed = IdentityOptions {
        key_passphrase: passphrase,
        ..IdentityOptions::default()
    };
    let identity = issue(&opened, "edge-001", &sealed, NOW).unwrap();
    let key = std::fs::read_to_string(&identity.paths.key).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
}

#[test]
fn rsa_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions {
        key_type: KeyType::Rsa2048,
        ..InitOptions::default()
    };
    let ca = CaDirectory::init(dir.path(), &options, NOW).unwrap();
    let options = IdentityOptions {
        key_type: KeyType::Rsa3072,
        ..IdentityOptions::default()
    };
    let identity = issue(&ca, "edge-001", &options, NOW).unwrap();
    let paths = &identity.paths;
    assert!(text(&paths.certificate).contains("Public-Key: (3072 bit)"));
    assert!(text(&ca.root_paths().certificate).contains("Public-Key: (2048 bit)"));
    verified_by_openssl(
        &ca.root_paths().certificate,
        &paths.chain,
        &paths.certificate,
    )
    .unwrap();
}

#[test]
fn openssls_own_hierarchy_in_the_same_layout_is_used() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["certs", "private"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let file = |name: &str| path(&dir.path().join(name)).to_owned();
    let (key, certificate) = (
        file("private/azure-iot-test-only.intermediate.key.pem"),
        file("certs/azure-iot-test-only.intermediate.cert.pem"),
    );
    // The two steps of Azure's script.
    openssl(&[
        "genrsa",
        "-aes256",
        "-passout",
        "pass:1234",
        "-out",
        &key,
        "2048",
    ])
    .unwrap();
    openssl(&[
        "req",
        "-x509",
        "-new",
        "-key",
        &key,
        "-passin",
        "pass:1234",
        "-out",
        &certificate,
        "-days",
        "3",
        "-subj",
        "/C=KR/O=Contoso/CN=Own CA",
    ])
    .unwrap();
    std::fs::copy(
        &certificate,
        file("certs/azure-iot-test-only.root.ca.cert.pem"),
    )
    .unwrap();
    let ca = CaDirectory::open(dir.path(), Some(b"1234")).unwrap();
    let now = ca.intermediate().not_before();
    let identity = issue(&ca, "edge-001", &IdentityOptions::default(), now).unwrap();
    assert_eq!(
        identity.certificate.issuer_der(),
        ca.intermediate().subject_der()
    );
    let verified = openssl(&[
        "verify",
        "-CAfile",
        &certificate,
        path(&identity.paths.certificate),
    ]);
    verified.unwrap();
}
