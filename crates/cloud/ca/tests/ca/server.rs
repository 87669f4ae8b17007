use std::path::Path;

use ca::{ServerCa, ServerCredential, ServerKind};

use crate::tools::{NOW, days, error_text, files, mode, openssl, path, text};

const NAMES: [&str; 4] = ["localhost", "hub.example", "127.0.0.1", "::1"];

fn open(dir: &Path) -> ServerCa {
    ServerCa::open_or_create(dir, NOW).unwrap()
}

fn same(a: &ServerCredential, b: &ServerCredential) -> bool {
    a.certificate() == b.certificate()
}

#[test]
fn openssl_trusts_it_for_every_name() {
    let dir = tempfile::tempdir().unwrap();
    let server_ca = open(dir.path());
    let credential = server_ca.ensure_server_certificate(&NAMES, NOW).unwrap();
    let ca = ServerCa::certificate_path(dir.path());
    let leaf = dir.path().join("leaf.pem");
    std::fs::write(&leaf, credential.certificate().to_pem()).unwrap();
    let at = NOW.unix_seconds().to_string();
    let verify = |option: &str, name: &str| {
        openssl(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-attime",
            &at,
            "-CAfile",
            path(&ca),
            option,
            name,
            path(&leaf),
        ])
    };
    verify("-verify_hostname", "localhost").unwrap();
    verify("-verify_hostname", "hub.example").unwrap();
    verify("-verify_ip", "127.0.0.1").unwrap();
    verify("-verify_ip", "::1").unwrap();
    assert!(verify("-verify_hostname", "other.example").is_err());
    assert!(text(&ca).contains("CA:TRUE, pathlen:0"));
    for file in files(&dir.path().join("ca")) {
        let public = file == ca;
        assert_eq!(
            mode(&file),
            if public { 0o644 } else { 0o600 },
            "{}",
            file.display()
        );
    }
    assert_eq!(mode(&dir.path().join("ca")), 0o700);
}

#[test]
fn it_is_kept_while_it_fits_and_renewed_when_not() {
    let dir = tempfile::tempdir().unwrap();
    let server_ca = open(dir.path());
    let first = server_ca.ensure_server_certificate(&NAMES, NOW).unwrap();
    let mut shuffled = NAMES;
    shuffled.reverse();
    let reopened = open(dir.path());
    assert_eq!(reopened.certificate(), server_ca.certificate());
    let again = reopened
        .ensure_server_certificate(&shuffled, days(240))
        .unwrap();
    assert!(same(&first, &again));
    assert_eq!(first.signer().public_key(), again.signer().public_key());

    let renewed = reopened
        .ensure_server_certificate(&NAMES, days(244))
        .unwrap();
    assert!(!same(&first, &renewed));
    assert_eq!(renewed.certificate().not_after(), days(244 + 365));
    let more = [
        "localhost",
        "hub.example",
        "127.0.0.1",
        "::1",
        "second.example",
    ];
    let wider = reopened
        .ensure_server_certificate(&more, days(244))
        .unwrap();
    assert_eq!(wider.certificate().server_names().len(), 5);
}

#[test]
fn near_the_end_of_its_ca_it_is_not_renewed_at_every_check() {
    let dir = tempfile::tempdir().unwrap();
    let server_ca = open(dir.path());
    let last = server_ca
        .ensure_server_certificate(&NAMES, days(3640))
        .unwrap();
    assert_eq!(
        last.certificate().not_after(),
        server_ca.certificate().not_after()
    );
    let again = server_ca
        .ensure_server_certificate(&NAMES, days(3649))
        .unwrap();
    assert!(same(&last, &again));
    let over = server_ca
        .ensure_server_certificate(&NAMES, days(3651))
        .unwrap_err();
    assert!(
        error_text(&over).contains("renew it first"),
        "{}",
        error_text(&over)
    );
}

#[test]
fn a_crash_between_two_files_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let server_ca = open(dir.path());
    let ca = ServerCa::certificate_path(dir.path());
    let key = std::fs::read(dir.path().join("ca/server-ca.key.pem")).unwrap();
    std::fs::remove_file(&ca).unwrap();
    let mended = open(dir.path());
    assert_eq!(
        mended.certificate().spki_der(),
        server_ca.certificate().spki_der()
    );
    assert_eq!(
        std::fs::read(dir.path().join("ca/server-ca.key.pem")).unwrap(),
        key
    );

    let first = mended.ensure_server_certificate(&NAMES, NOW).unwrap();
    let file = dir.path().join("ca/server.pem");
    for broken in [&b"half a fi"[..], &[0xff, 0xfe, 0], &[]] {
        std::fs::write(&file, broken).unwrap();
        let fresh = mended.ensure_server_certificate(&NAMES, NOW).unwrap();
        assert!(!same(&first, &fresh));
        assert!(same(
            &fresh,
            &mended.ensure_server_certificate(&NAMES, NOW).unwrap()
        ));
    }
    let names: Vec<_> = files(&dir.path().join("ca"));
    assert_eq!(
        names.len(),
        3,
        "temporary files were left behind: {names:?}"
    );
}

#[test]
fn a_lost_or_other_key_is_an_error_and_not_a_new_ca() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path());
    let key = dir.path().join("ca/server-ca.key.pem");
    std::fs::remove_file(&key).unwrap();
    let lost = ServerCa::open_or_create(dir.path(), NOW).unwrap_err();
    assert!(
        error_text(&lost).contains("server-ca.key.pem"),
        "{}",
        error_text(&lost)
    );
    let other = tempfile::tempdir().unwrap();
    open(other.path());
    std::fs::copy(other.path().join("ca/server-ca.key.pem"), &key).unwrap();
    let other_ca = ServerCa::open_or_create(dir.path(), NOW).unwrap_err();
    assert!(
        error_text(&other_ca).contains("do not belong together"),
        "{}",
        error_text(&other_ca)
    );
}

#[test]
fn a_bad_name_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let fault = open(dir.path())
        .ensure_server_certificate(&["not a host"], NOW)
        .unwrap_err();
    assert!(
        error_text(&fault).contains("neither a DNS name nor an IP address"),
        "{}",
        error_text(&fault)
    );
}

#[test]
fn nothing_of_a_key_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let server_ca = open(dir.path());
    let credential = server_ca.ensure_server_certificate(&NAMES, NOW).unwrap();
    let debug = format!("{server_ca:?} {credential:?}");
    assert!(
        debug.contains("CN=Muster server") && !debug.contains("key"),
        "{debug}"
    );
}

/// Another root, because TLS that knows nothing but RSA does not verify the signature of the first.
#[test]
fn an_rsa_certificate_has_an_rsa_issuer_and_keeps_its_key_while_names_change() {
    let dir = tempfile::tempdir().unwrap();
    let ec = open(dir.path());
    assert!(!ServerCa::exists(dir.path(), ServerKind::Rsa));
    let open_rsa = || ServerCa::open_or_create_of(ServerKind::Rsa, dir.path(), NOW).unwrap();
    let rsa = open_rsa();
    assert!(ServerCa::exists(dir.path(), ServerKind::Rsa));
    let first = rsa.ensure_server_certificate(&NAMES, NOW).unwrap();
    assert!(first.certificate().is_signed_by(rsa.certificate()));
    assert!(!first.certificate().is_signed_by(ec.certificate()));
    assert_eq!(open_rsa().certificate(), rsa.certificate());
    let named = rsa.ensure_server_certificate(&["other.test"], NOW).unwrap();
    assert_ne!(named.certificate(), first.certificate());
    assert_eq!(
        named.certificate().spki_der(),
        first.certificate().spki_der()
    );
    let renewed = rsa.ensure_server_certificate(&["other.test"], days(300));
    let renewed = renewed.unwrap();
    assert_ne!(
        renewed.certificate().spki_der(),
        named.certificate().spki_der()
    );

    let alone = ServerCa::trust_path(dir.path());
    assert_eq!(alone, ServerCa::certificate_path(dir.path()));
    let both = [ec.certificate().clone(), rsa.certificate().clone()];
    ServerCa::write_trust(dir.path(), &both).unwrap();
    let text = std::fs::read_to_string(ServerCa::trust_path(dir.path())).unwrap();
    assert_eq!(pki::Certificate::parse_pem_bundle(&text).unwrap(), both);
}
