use std::cell::RefCell;
use std::path::Path;

use ca::{
    CaDirectory, CaError, InitOptions, RefusedRequest, RequestSource, RevocationChange,
    SignObserver, SignOptions, SignOutcome,
};
use ids::ProfileKind;
use pki::{Certificate, RevocationReason};

use crate::tools::{NOW, days, files, openssl, path, verified_by_openssl};

struct Factory {
    dir: tempfile::TempDir,
    ca: CaDirectory,
}

impl Factory {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = CaDirectory::init(&dir.path().join("W"), &InitOptions::default(), NOW).unwrap();
        std::fs::create_dir(dir.path().join("csr")).unwrap();
        Self { dir, ca }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn request(&self, file: &str, subject: &str) {
        let (key, csr) = (self.file("key"), self.file("csr").join(file));
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            path(&key),
            "-out",
            path(&csr),
        ])
        .unwrap();
    }

    fn options(&self) -> SignOptions {
        SignOptions {
            profile: ProfileKind::EdgeIdentity,
            days: 365,
            out: self.file("out"),
            renew_within_days: 0,
            experimental: false,
            force: false,
        }
    }

    fn sign(&self, csr: &Path, options: &SignOptions) -> (SignOutcome, Vec<RefusedRequest>) {
        let source = RequestSource::path(csr).unwrap();
        let refused = RefCell::new(Vec::new());
        let observer = SignObserver {
            advanced: &|_| {},
            refused: &|one| refused.borrow_mut().push(one.clone()),
        };
        let outcome = self
            .ca
            .sign_requests(&source, options, NOW, &observer)
            .unwrap();
        (outcome, refused.into_inner())
    }

    fn certificate(&self, name: &str) -> Certificate {
        let file = self.file("out").join(format!("{name}.cert.pem"));
        Certificate::parse_one(&std::fs::read(file).unwrap()).unwrap()
    }

    fn records(&self) -> String {
        std::fs::read_to_string(self.file("W/index/issued.jsonl")).unwrap()
    }
}

fn counts(signed: usize, present: usize, refused: usize) -> SignOutcome {
    SignOutcome {
        signed,
        present,
        refused,
    }
}

#[test]
fn a_folder_is_signed_and_each_bad_request_is_named() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=press-1");
    factory.request("b.csr", "/O=Contoso/CN=Press-1");
    factory.request("c.csr", "/CN=press-1");
    factory.request("d.csr", "/CN=press 2");
    factory.request("e.csr", "/O=no name");
    factory.request("f.csr", "/CN=press-3");
    factory.request("g.csr", "/CN=x-full-chain");
    std::fs::write(factory.file("csr/h.csr"), "hello").unwrap();
    std::fs::write(factory.file("csr/i.key"), "a key").unwrap();
    std::fs::copy(factory.file("key"), factory.file("csr/j.pem")).unwrap();
    let (outcome, refused) = factory.sign(&factory.file("csr"), &factory.options());
    assert_eq!(outcome, counts(2, 0, 7));
    let csr = factory.file("csr");
    for (refused, (file, reason)) in refused.iter().zip([
        ("b.csr", "differs only in case from \"press-1\""),
        ("c.csr", "which has another key"),
        ("d.csr", "press 2"),
        ("e.csr", "no common name"),
        ("g.csr", "-full-chain"),
        ("h.csr", "one PEM block"),
        ("j.pem", "a key and no certificate request"),
    ]) {
        assert_eq!(refused.request, csr.join(file).display().to_string());
        assert!(refused.reason.contains(reason), "{refused:?}");
    }
    assert_eq!(RequestSource::path(&csr).unwrap().ignored_files(), 1);
    let names: Vec<_> = files(&factory.file("out"))
        .iter()
        .map(|f| path(f).to_owned())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let root = factory.ca.root_paths().certificate;
    for name in ["press-1", "press-3"] {
        let file = |suffix: &str| factory.file("out").join(format!("{name}{suffix}.cert.pem"));
        verified_by_openssl(&root, &file("-full-chain"), &file("")).unwrap();
        let chain = std::fs::read_to_string(file("-full-chain")).unwrap();
        assert_eq!(Certificate::parse_pem_bundle(&chain).unwrap().len(), 3);
    }
}

#[test]
fn a_request_is_signed_once_and_its_files_are_completed() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=press-1");
    factory.request("b.csr", "/CN=press-2");
    let (csr, options) = (factory.file("csr"), factory.options());
    assert_eq!(factory.sign(&csr, &options).0, counts(2, 0, 0));
    let first = factory.certificate("press-1");
    let records = factory.records();
    std::fs::remove_file(factory.file("out/press-1.cert.pem")).unwrap();
    std::fs::write(factory.file("out/press-2-full-chain.cert.pem"), "").unwrap();
    // What a process that was killed leaves: an unfinished file, and half a line in the records.
    std::fs::write(
        factory.file("out/.press-1.cert.pem.4194304-0.new"),
        "-----BEG",
    )
    .unwrap();
    std::fs::write(
        factory.file("W/index/issued.jsonl"),
        format!("{records}{{\"ser"),
    )
    .unwrap();
    assert_eq!(factory.sign(&csr, &options).0, counts(0, 2, 0));
    assert_eq!(factory.certificate("press-1"), first);
    assert_eq!(factory.records(), records);
    assert_eq!(files(&factory.file("out")).len(), 4);
    let chain = std::fs::read(factory.file("out/press-2-full-chain.cert.pem")).unwrap();
    assert!(!chain.is_empty());

    // Another folder gets the same certificates.
    let other_folder = SignOptions {
        out: factory.file("other_folder"),
        ..factory.options()
    };
    assert_eq!(factory.sign(&csr, &other_folder).0, counts(0, 2, 0));
    // Another profile, or an end that is near, gets others.
    let renew = SignOptions {
        renew_within_days: 365,
        ..factory.options()
    };
    assert_eq!(factory.sign(&csr, &renew).0, counts(2, 0, 0));
    assert_ne!(factory.certificate("press-1"), first);
    let device = SignOptions {
        profile: ProfileKind::Device,
        ..other_folder
    };
    assert_eq!(factory.sign(&csr, &device).0, counts(2, 0, 0));
}

#[test]
fn one_text_holds_many_requests_and_a_repeated_one_counts_once() {
    let factory = Factory::new();
    let mut text = String::new();
    for number in 1..=3 {
        factory.request("x.csr", &format!("/CN=press-{number}"));
        text.push_str(&std::fs::read_to_string(factory.file("csr/x.csr")).unwrap());
        text.push_str(&std::fs::read_to_string(factory.file("key")).unwrap());
    }
    let all = text.repeat(2);
    let torn = all.clone() + "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n";
    let file = factory.file("all.pem");
    std::fs::write(&file, torn).unwrap();
    let (outcome, refused) = factory.sign(&file, &factory.options());
    assert_eq!(outcome, counts(3, 3, 1));
    let last = all.lines().count() + 1;
    assert_eq!(
        refused[0].request,
        format!("{}, line {last}", file.display())
    );
}

#[test]
fn a_new_key_for_a_name_does_not_replace_files_unless_forced() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=press-1");
    let csr = factory.file("csr");
    factory.sign(&csr, &factory.options());
    let first = factory.certificate("press-1");
    factory.request("a.csr", "/CN=press-1");
    let (outcome, refused) = factory.sign(&csr, &factory.options());
    assert_eq!(outcome, counts(0, 0, 1));
    assert!(
        refused[0]
            .reason
            .contains("is there already, for another key"),
        "{refused:?}"
    );
    factory.request("b.csr", "/CN=PRESS-1");
    std::fs::remove_file(csr.join("a.csr")).unwrap();
    let (_, refused) = factory.sign(&csr, &factory.options());
    assert!(
        refused[0].reason.contains("differs only in case"),
        "{refused:?}"
    );
    std::fs::remove_file(csr.join("b.csr")).unwrap();
    factory.request("a.csr", "/CN=press-1");
    let force = SignOptions {
        force: true,
        ..factory.options()
    };
    assert_eq!(factory.sign(&csr, &force).0, counts(1, 0, 0));
    assert_ne!(factory.certificate("press-1"), first);
}

#[test]
fn a_key_whose_certificate_was_revoked_is_not_signed_again() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=press-1");
    factory.sign(&factory.file("csr"), &factory.options());
    let revoke = RevocationChange::Revoke(RevocationReason::KeyCompromise);
    let certificate = factory.certificate("press-1");
    CaDirectory::revoke(&factory.file("W"), &certificate, revoke, NOW).unwrap();
    let (outcome, refused) = factory.sign(&factory.file("csr"), &factory.options());
    assert_eq!(outcome, counts(0, 0, 1));
    assert!(
        refused[0].reason.contains("is revoked (keyCompromise)"),
        "{refused:?}"
    );
}

#[test]
fn other_profiles_have_their_rules() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=gateway 1");
    let edge_ca = SignOptions {
        profile: ProfileKind::EdgeCa,
        days: 4000,
        ..factory.options()
    };
    assert_eq!(
        factory.sign(&factory.file("csr"), &edge_ca).0,
        counts(1, 0, 0)
    );
    let made = factory.certificate("gateway 1");
    assert!(made.is_ca());
    assert_eq!(made.not_after(), days(1825));
}

#[test]
fn records_that_something_else_changed_stop_the_run() {
    let factory = Factory::new();
    factory.request("a.csr", "/CN=press-1");
    let records = factory.records();
    std::fs::write(
        factory.file("W/index/issued.jsonl"),
        format!("oops\n{records}"),
    )
    .unwrap();
    let source = RequestSource::path(&factory.file("csr")).unwrap();
    let observer = SignObserver {
        advanced: &|_| {},
        refused: &|_| {},
    };
    let refused = factory
        .ca
        .sign_requests(&source, &factory.options(), NOW, &observer);
    assert!(matches!(
        refused.unwrap_err(),
        CaError::Record { line: 1, .. }
    ));
    assert!(!factory.file("out/press-1.cert.pem").exists());
}
