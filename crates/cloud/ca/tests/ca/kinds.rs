use ca::{CaDirectory, Existing, ExternalRoot, IdentityKind, IdentityOptions, InitOptions, Signer};
use pki::{Certificate, PrivateKey, ServerName};
use zeroize::Zeroizing;

use crate::tools::{NOW, error_text, files, issue_kind, openssl, path, text, verified_by_openssl};

fn init(dir: &std::path::Path) -> CaDirectory {
    CaDirectory::init(dir, &InitOptions::default(), NOW).unwrap()
}

fn issue_default(ca: &CaDirectory, kind: &IdentityKind, name: &str) -> ca::IssuedIdentity {
    issue_kind(ca, kind, name, &IdentityOptions::default(), NOW).unwrap()
}

#[test]
fn each_kind_has_the_files_and_names_of_azures_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let more_names = vec![
        ServerName::parse("192.0.2.7").unwrap(),
        ServerName::parse("gw-1.example").unwrap(),
    ];
    let server = IdentityKind::EdgeServer { more_names };
    for (kind, name, stem, common_name, purpose) in [
        (
            &IdentityKind::EdgeCa,
            "gw 1",
            "iot-edge-device-ca-gw 1",
            "gw 1.ca",
            "any",
        ),
        (
            &server,
            "gw-1.example",
            "iot-edge-server-gw-1.example",
            "gw-1.example",
            "sslserver",
        ),
        (
            &IdentityKind::Device,
            "sensor-1",
            "iot-device-sensor-1",
            "sensor-1",
            "sslclient",
        ),
    ] {
        let issued = issue_default(&ca, kind, name);
        let wanted = dir.path().join(format!("certs/{stem}.cert.pem"));
        assert_eq!(issued.paths.certificate, wanted);
        assert!(
            dir.path()
                .join(format!("certs/{stem}-full-chain.cert.pem"))
                .exists()
        );
        assert!(dir.path().join(format!("private/{stem}.key.pem")).exists());
        assert_eq!(issued.certificate.subject_common_name(), Some(common_name));
        let at = NOW.unix_seconds().to_string();
        let root = ca.root_paths().certificate;
        openssl(&[
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-attime",
            &at,
            "-CAfile",
            path(&root),
            "-untrusted",
            path(&issued.paths.chain),
            path(&issued.paths.certificate),
        ])
        .unwrap();
    }
}

#[test]
fn an_edge_ca_issues_leaves_only_and_a_server_has_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let edge_ca = issue_default(&ca, &IdentityKind::EdgeCa, "gw 1");
    let printed = text(&edge_ca.paths.certificate);
    assert!(printed.contains("CA:TRUE, pathlen:0"), "{printed}");
    let more_names = vec![ServerName::parse("192.0.2.7").unwrap()];
    let kind = IdentityKind::EdgeServer { more_names };
    let server = issue_default(&ca, &kind, "gw-1.example");
    let printed = text(&server.paths.certificate);
    assert!(
        printed.contains("DNS:gw-1.example, IP Address:192.0.2.7\n"),
        "{printed}"
    );
}

#[test]
fn names_that_are_unsafe_or_meet_other_files_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let before = files(dir.path()).len();
    let long = "x".repeat(62);
    for (kind, names, wanted) in [
        (IdentityKind::EdgeCa, vec!["good", "../x"], "slash"),
        (IdentityKind::EdgeCa, vec!["good", &long], "65 characters"),
        (
            IdentityKind::EdgeIdentity,
            vec!["good", "a b"],
            "registration id",
        ),
        (
            IdentityKind::EdgeIdentity,
            vec!["good", "x-full-chain"],
            "-full-chain",
        ),
        (
            IdentityKind::EdgeIdentity,
            vec!["good", "Good"],
            "differ in case only",
        ),
        (
            IdentityKind::Device,
            vec!["good", "verification-code"],
            "verification certificate",
        ),
        (
            IdentityKind::EdgeServer {
                more_names: Vec::new(),
            },
            vec!["good", "not a host"],
            "neither a DNS name nor an IP address",
        ),
    ] {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let refused = ca.issue(&kind, &names, &IdentityOptions::default(), NOW, &|| {});
        let refused = error_text(&refused.unwrap_err());
        assert!(refused.contains(wanted), "{refused}");
    }
    assert_eq!(files(dir.path()).len(), before);
}

#[test]
fn a_pkcs12_file_is_written_on_request_and_opens_with_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions {
        pfx_passphrase: Some(Zeroizing::new("of the ca".to_owned())),
        ..InitOptions::default()
    };
    let ca = CaDirectory::init(dir.path(), &options, NOW).unwrap();
    let options = IdentityOptions {
        pfx_passphrase: Some(Zeroizing::default()),
        ..IdentityOptions::default()
    };
    let identity = issue_kind(&ca, &IdentityKind::EdgeIdentity, "e-1", &options, NOW).unwrap();
    assert!(
        identity
            .paths
            .pfx
            .ends_with("certs/iot-edge-device-identity-e-1.cert.pfx")
    );
    for (file, passphrase, leaf, count) in [
        (&identity.paths.pfx, "pass:", &identity.certificate, 3),
        (
            &ca.intermediate_paths().pfx,
            "pass:of the ca",
            ca.intermediate(),
            2,
        ),
    ] {
        assert_eq!(crate::tools::mode(file), 0o600);
        let read = openssl(&["pkcs12", "-in", path(file), "-nodes", "-passin", passphrase]);
        let read = read.unwrap();
        let chain = Certificate::parse_pem_bundle(&read).unwrap();
        assert_eq!((chain.len(), &chain[0]), (count, leaf));
        PrivateKey::from_pem(&read, None)
            .unwrap()
            .matches(leaf)
            .unwrap();
    }
}

/// A root that OpenSSL made, with an encrypted key.
fn corporate_root(dir: &std::path::Path) -> ExternalRoot {
    let file = |name: &str| dir.join(name);
    let request = "req -x509 -newkey rsa:2048 -days 3650 -passout pass:secret -subj";
    let mut request: Vec<&str> = request.split(' ').collect();
    let (old, key, certificate) = (file("old.key"), file("root.key"), file("root.pem"));
    request.extend([
        "/CN=Corporate Root",
        "-keyout",
        path(&old),
        "-out",
        path(&certificate),
    ]);
    openssl(&request).unwrap();
    // `openssl req` encrypts with DES, which is refused with the command that converts it.
    let convert = "pkcs8 -topk8 -passin pass:secret -passout pass:secret -in";
    let mut convert: Vec<&str> = convert.split(' ').collect();
    convert.extend([path(&old), "-out", path(&key)]);
    openssl(&convert).unwrap();
    ExternalRoot { certificate, key }
}

#[test]
fn an_external_root_signs_the_intermediate_and_keeps_its_passphrase() {
    let made = tempfile::tempdir().unwrap();
    let external = corporate_root(made.path());
    let options = InitOptions {
        external_root: Some(external.clone()),
        root_passphrase: Some(Zeroizing::new("secret".to_owned())),
        ..InitOptions::default()
    };
    let root = Certificate::parse_one(&std::fs::read(&external.certificate).unwrap()).unwrap();
    let now = root.not_before();
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &options, now).unwrap();
    assert_eq!(ca.root(), &root);
    assert!(ca.intermediate().is_signed_by(&root));
    let key = std::fs::read_to_string(ca.root_paths().key).unwrap();
    assert!(key.contains("ENCRYPTED"), "{key}");
    let opened = CaDirectory::open(dir.path(), None).unwrap();
    issue_kind(
        &opened,
        &IdentityKind::EdgeCa,
        "gw",
        &IdentityOptions::default(),
        now,
    )
    .unwrap();
    let secret = Some(b"secret".as_slice());
    CaDirectory::issue_verification(dir.path(), "CODE", Signer::Root, secret, now).unwrap();
}

#[test]
fn an_external_root_with_the_key_of_another_ca_is_refused_before_anything_is_written() {
    let made = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let external = corporate_root(made.path());
    let swapped = ExternalRoot {
        key: ca.intermediate_paths().key,
        ..external
    };
    let options = InitOptions {
        external_root: Some(swapped),
        ..InitOptions::default()
    };
    let other = dir.path().join("other");
    let refused = CaDirectory::init(&other, &options, NOW).unwrap_err();
    assert!(error_text(&refused).contains("do not belong together"));
    assert!(!other.exists());
}

#[test]
fn a_certificate_that_was_recorded_before_a_kill_is_written_and_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let options = IdentityOptions {
        existing: Existing::Skip,
        ..IdentityOptions::default()
    };
    let first = issue_kind(&ca, &IdentityKind::Device, "d-1", &options, NOW).unwrap();
    std::fs::remove_file(&first.paths.certificate).unwrap();
    std::fs::remove_file(&first.paths.chain).unwrap();
    let again = issue_kind(&ca, &IdentityKind::Device, "d-1", &options, NOW).unwrap();
    assert_eq!(first.certificate, again.certificate);
    let root = ca.root_paths().certificate;
    verified_by_openssl(&root, &again.paths.chain, &again.paths.certificate).unwrap();
    let records = std::fs::read_to_string(dir.path().join("index/issued.jsonl")).unwrap();
    let lines = records
        .lines()
        .filter(|line| line.contains("\"d-1\""))
        .count();
    assert_eq!(lines, 1);
}
