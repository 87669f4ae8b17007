use std::path::Path;

use ca::{CaDirectory, CaError, Existing, IdentityKind, IdentityOptions, InitOptions, Signer};
use pki::{Certificate, IssuerCache, PresentedChain, prove_possession, verify_chain};

use crate::tools::{NOW, days, error_text, files, issue, mode, path, text, verified_by_openssl};

fn init(dir: &Path) -> CaDirectory {
    CaDirectory::init(dir, &InitOptions::default(), NOW).unwrap()
}

#[test]
fn the_files_of_azures_scripts_exist_and_openssl_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ca = init(dir);
    let identity = issue(&ca, "edge-001", &IdentityOptions::default(), NOW).unwrap();

    let mut names: Vec<String> = files(dir)
        .iter()
        .map(|f| path(f.strip_prefix(dir).unwrap()).to_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "certs/azure-iot-test-only.intermediate-full-chain.cert.pem",
            "certs/azure-iot-test-only.intermediate.cert.pem",
            "certs/azure-iot-test-only.root.ca.cert.pem",
            "certs/iot-edge-device-identity-edge-001-full-chain.cert.pem",
            "certs/iot-edge-device-identity-edge-001.cert.pem",
            "index/issued.jsonl",
            "index/lock",
            "private/azure-iot-test-only.intermediate.key.pem",
            "private/azure-iot-test-only.root.ca.key.pem",
            "private/iot-edge-device-identity-edge-001.key.pem",
        ]
    );
    for file in files(dir) {
        let wanted = if file.starts_with(dir.join("private")) {
            0o600
        } else {
            0o644
        };
        assert_eq!(mode(&file), wanted, "{}", file.display());
    }
    assert_eq!(mode(&dir.join("private")), 0o700);

    let root = ca.root_paths().certificate;
    verified_by_openssl(&root, &identity.paths.chain, &identity.paths.certificate).unwrap();
    verified_by_openssl(&root, &root, &ca.intermediate_paths().certificate).unwrap();
    let chain = std::fs::read_to_string(&identity.paths.chain).unwrap();
    let chain = Certificate::parse_pem_bundle(&chain).unwrap();
    let subjects: Vec<String> = chain.iter().map(Certificate::subject).collect();
    assert_eq!(
        subjects,
        [
            "CN=edge-001",
            "CN=Azure_IoT_Hub_Intermediate_Cert_Test_Only",
            "CN=Azure_IoT_Hub_CA_Cert_Test_Only"
        ]
    );
    let presented = PresentedChain::from_certificates(chain).unwrap();
    for ca_certificate in [ca.root(), ca.intermediate()] {
        verify_chain(&presented, ca_certificate, NOW, &IssuerCache::default()).unwrap();
    }
}

#[test]
fn openssl_reads_the_profiles_as_intended() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let identity = issue(&ca, "edge-001", &IdentityOptions::default(), NOW).unwrap();
    let leaf = text(&identity.paths.certificate);
    for wanted in [
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "Subject: CN = edge-001",
        "ASN1 OID: prime256v1",
    ] {
        assert!(leaf.contains(wanted), "{wanted} is not in\n{leaf}");
    }
    for (paths, length) in [(ca.root_paths(), 2), (ca.intermediate_paths(), 1)] {
        let ca = text(&paths.certificate);
        for wanted in [
            &format!(
                "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:{length}"
            ),
            "X509v3 Key Usage: critical\n                Digital Signature, Certificate Sign, CRL \
             Sign",
            "X509v3 Subject Key Identifier",
        ] {
            assert!(ca.contains(wanted), "{wanted} is not in\n{ca}");
        }
    }
}

#[test]
fn lifetimes_are_staggered_and_nothing_outlives_its_issuer() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let with_days = |name: &str, wanted| {
        let options = IdentityOptions {
            days: wanted,
            ..IdentityOptions::default()
        };
        issue(&ca, name, &options, NOW)
    };
    assert_eq!(ca.root().not_after(), days(3650));
    assert_eq!(ca.intermediate().not_after(), days(1825));
    assert_eq!(
        with_days("one-year", None).unwrap().certificate.not_after(),
        days(365)
    );
    assert_eq!(
        with_days("ten-days", Some(10))
            .unwrap()
            .certificate
            .not_after(),
        days(10)
    );
    let fault = error_text(&with_days("too-long", Some(1826)).unwrap_err());
    assert!(
        fault.contains("2031-01-01T") && fault.contains("2030-12-31T"),
        "{fault}"
    );
    assert!(
        !IdentityKind::EdgeIdentity
            .paths(dir.path(), "too-long")
            .key
            .exists()
    );

    let late = issue(&ca, "late", &IdentityOptions::default(), days(1800)).unwrap();
    assert_eq!(late.certificate.not_after(), days(1825));

    let short = tempfile::tempdir().unwrap();
    let options = InitOptions {
        root_days: 30,
        ..InitOptions::default()
    };
    let short = CaDirectory::init(short.path(), &options, NOW).unwrap();
    assert_eq!(short.intermediate().not_after(), days(30));
    let options = InitOptions {
        root_days: 30,
        intermediate_days: Some(31),
        ..options
    };
    let refused = CaDirectory::init(dir.path().join("other").as_path(), &options, NOW);
    assert!(error_text(&refused.unwrap_err()).contains("would outlive its issuer"));
    assert!(!dir.path().join("other").exists());
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path());
    let options = IdentityOptions::default();
    let first = issue(&ca, "edge-001", &options, NOW).unwrap();
    let before: Vec<_> = files(dir.path())
        .iter()
        .map(|f| std::fs::read(f).unwrap())
        .collect();

    let again = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap_err();
    assert!(error_text(&again).contains("azure-iot-test-only.root.ca.key.pem is there already"));
    let again = issue(&ca, "edge-001", &options, NOW).unwrap_err();
    assert!(
        error_text(&again).contains("iot-edge-device-identity-edge-001.cert.pem is there already")
    );
    assert!(error_text(&again).contains("--force"));
    let names = ["edge-000".to_owned(), "edge-001".to_owned()];
    let again = ca
        .issue(&IdentityKind::EdgeIdentity, &names, &options, NOW, &|| {})
        .unwrap_err();
    assert!(matches!(again, CaError::Exists { .. }));
    let after: Vec<_> = files(dir.path())
        .iter()
        .map(|f| std::fs::read(f).unwrap())
        .collect();
    assert_eq!(before, after);

    let force = IdentityOptions {
        existing: Existing::Replace,
        ..options
    };
    let second = issue(&ca, "edge-001", &force, NOW).unwrap();
    assert_ne!(first.certificate, second.certificate);
    let force = InitOptions {
        force: true,
        ..InitOptions::default()
    };
    let replaced = CaDirectory::init(dir.path(), &force, NOW).unwrap();
    assert_ne!(ca.root(), replaced.root());
}

#[test]
fn faults_name_the_file_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let empty = error_text(&CaDirectory::open(dir.path(), None).unwrap_err());
    assert!(
        empty.contains("holds no certificate authority") && empty.contains("muster ca init --dir")
    );
    let ca = init(dir.path());
    let bad = error_text(&issue(&ca, "edge 1", &IdentityOptions::default(), NOW).unwrap_err());
    assert!(
        bad.contains("\"edge 1\"") && bad.contains("registration id"),
        "{bad}"
    );

    let paths = ca.intermediate_paths();
    std::fs::write(&paths.certificate, "hello").unwrap();
    let fault = error_text(&CaDirectory::open(dir.path(), None).unwrap_err());
    assert!(
        fault.contains("intermediate.cert.pem") && fault.contains("no certificate in it"),
        "{fault}"
    );
    std::fs::copy(ca.root_paths().certificate, &paths.certificate).unwrap();
    let fault = error_text(&CaDirectory::open(dir.path(), None).unwrap_err());
    assert!(fault.contains("do not belong together"), "{fault}");
    std::fs::remove_file(&paths.key).unwrap();
    std::fs::create_dir(&paths.key).unwrap();
    let fault = error_text(&CaDirectory::open(dir.path(), None).unwrap_err());
    assert!(
        fault.contains("intermediate.key.pem") && fault.contains("cannot read"),
        "{fault}"
    );
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let fault = error_text(&CaDirectory::init(&file, &InitOptions::default(), NOW).unwrap_err());
    assert!(
        fault.contains("cannot write") && fault.contains("a-file"),
        "{fault}"
    );
    assert!(error_text(&ca::read_passphrase(&file).unwrap_err()).contains("first line"));
}

#[test]
fn a_verification_certificate_proves_either_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ca = init(dir);
    for (signer, ca_certificate) in [
        (Signer::Root, ca.root()),
        (Signer::Intermediate, ca.intermediate()),
    ] {
        let (certificate, file) =
            CaDirectory::issue_verification(dir, "0123ABCD", signer, None, NOW).unwrap();
        let proof = prove_possession(ca_certificate, &certificate, NOW).unwrap();
        assert_eq!(proof.common_name(), "0123ABCD");
        let name = "certs/iot-device-verification-code.cert.pem";
        assert_eq!(file, dir.join(name));
        assert!(text(&file).contains("CN = 0123ABCD") || text(&file).contains("CN=0123ABCD"));
    }
    let long = "0".repeat(65);
    let refused = CaDirectory::issue_verification(dir, &long, Signer::Root, None, NOW);
    assert!(error_text(&refused.unwrap_err()).contains("65 characters"));
}
