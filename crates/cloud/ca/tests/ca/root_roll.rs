//! A root that is replaced while what is below it stays trusted.

use std::path::{Path, PathBuf};

use ca::{
    CaDirectory, CaError, CrlOptions, ExternalRoot, IdentityKind, IdentityOptions, InitOptions,
    IssuedIdentity, RollOptions, RollProblem, RootRollOptions, RootRollStatus, Signer,
};
use ids::Timestamp;
use pki::{
    Certificate, GivenCrls, PathRules, PresentedChain, Purpose, RevocationCheck, verify_path_to_any,
};

use crate::tools::{NOW, days, issue_kind, openssl, path, verified_by_openssl};

pub fn start(dir: &Path) -> Result<RootRollStatus, CaError> {
    CaDirectory::start_root_roll(dir, &RootRollOptions::default(), NOW)
}

pub fn issue(dir: &Path, kind: &IdentityKind, name: &str) -> IssuedIdentity {
    let ca = CaDirectory::open(dir, None).unwrap();
    issue_kind(&ca, kind, name, &IdentityOptions::default(), NOW).unwrap()
}

pub fn read(file: &Path) -> Vec<Certificate> {
    let text = std::fs::read_to_string(file).unwrap();
    Certificate::parse_pem_bundle(&text).unwrap()
}

/// The file of a root that is kept apart, as those who trust it have it.
fn kept(dir: &Path, root: &Certificate) -> PathBuf {
    let file = dir.join(format!("trusted-{}.pem", root.sha256()));
    std::fs::write(&file, root.to_pem()).unwrap();
    file
}

/// What our path validation says, at a moment, with lists.
fn verified_here(chain: &Path, root: &Certificate, at: Timestamp, lists: &[PathBuf]) -> bool {
    let mut crls = GivenCrls::new(at);
    for list in lists {
        crls.add(std::fs::read(list).unwrap()).unwrap();
    }
    let mut rules = PathRules::new(Purpose::Any);
    if !lists.is_empty() {
        rules.revocation = RevocationCheck::OfLeaf(&crls);
    }
    let presented = PresentedChain::from_certificates(read(chain)).unwrap();
    verify_path_to_any(&rules, &presented, std::slice::from_ref(root), at).is_ok()
}

/// Whether OpenSSL and we accept an identity below a root, with its own chain alone.
pub fn accepted(dir: &Path, identity: &IssuedIdentity, root: &Certificate) -> bool {
    let file = kept(dir, root);
    let (chain, leaf) = (&identity.paths.chain, &identity.paths.certificate);
    let by_openssl = match identity.certificate.is_ca() {
        true => openssl(&[
            "verify",
            "-x509_strict",
            "-attime",
            &NOW.unix_seconds().to_string(),
            "-CAfile",
            path(&file),
            "-untrusted",
            path(chain),
            path(leaf),
        ]),
        false => verified_by_openssl(&file, chain, leaf),
    };
    let here = verified_here(chain, root, NOW, &[]);
    assert_eq!(by_openssl.is_ok(), here, "{by_openssl:?}");
    here
}

#[test]
fn what_is_below_either_root_is_accepted_below_both() {
    let dir = tempfile::tempdir().unwrap();
    let old = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let old = old.root().clone();
    let before = issue(dir.path(), &IdentityKind::EdgeIdentity, "before");
    let status = start(dir.path()).unwrap();
    let new = status.current.certificate.clone();
    assert_eq!(status.previous.as_ref().unwrap().certificate, old);
    assert_eq!(new.subject_der(), old.subject_der());
    assert!(!new.is_signed_by(&old) && new.is_signed_by(&new));
    assert_eq!(
        (status.current.valid, status.previous.unwrap().valid),
        (0, 1)
    );
    assert!(matches!(
        start(dir.path()),
        Err(CaError::Roll(RollProblem::RootInProgress))
    ));

    // Of the old intermediate, which the old root issued.
    let between = issue(dir.path(), &IdentityKind::EdgeIdentity, "between");
    CaDirectory::start_roll(dir.path(), &RollOptions::default(), NOW).unwrap();
    let after = issue(dir.path(), &IdentityKind::EdgeIdentity, "after");
    // One more CA below: the cross-certificate does not count.
    let gateway = issue(dir.path(), &IdentityKind::EdgeCa, "gateway");
    for identity in [&between, &after, &gateway] {
        for root in [&old, &new] {
            assert!(accepted(dir.path(), identity, root));
        }
    }
    assert!(accepted(dir.path(), &before, &old));
    assert!(
        !accepted(dir.path(), &before, &new),
        "its chain is of before"
    );
    let status = CaDirectory::root_roll_status(dir.path(), NOW).unwrap();
    assert_eq!(
        (status.current.valid, status.previous.unwrap().valid),
        (2, 2)
    );
}

#[test]
fn a_root_is_given_up_once_nothing_valid_is_below_it() {
    let dir = tempfile::tempdir().unwrap();
    CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    start(dir.path()).unwrap();
    let cross = dir
        .path()
        .join("certs/azure-iot-test-only.root.ca.previous-by-new.cert.pem");
    let cross = read(&cross).remove(0);
    let refused = CaDirectory::finish_root_roll(dir.path(), false, NOW);
    let in_use = Err::<(), _>(RollProblem::RootInUse { valid: 0 });
    assert_eq!(refused.map(drop).map_err(problem), in_use);

    let intermediate = |force, at| CaDirectory::finish_roll(dir.path(), force, at).unwrap();
    CaDirectory::start_roll(dir.path(), &RollOptions::default(), NOW).unwrap();
    intermediate(false, NOW);
    let refused = CaDirectory::abandon_root_roll(dir.path(), NOW);
    assert_eq!(
        refused.map(drop).map_err(problem),
        Err(RollProblem::NewRootInUse)
    );
    let lists = CrlOptions {
        signer: Signer::Root,
        days: 30,
        passphrase: None,
    };
    let both = CaDirectory::write_crl(dir.path(), &lists, NOW).unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!(both[1].entries, 1, "the old intermediate");

    let done = CaDirectory::finish_root_roll(dir.path(), false, NOW).unwrap();
    assert!(done.previous.is_none() && done.cross.is_none());
    for gone in [
        "private/azure-iot-test-only.root.ca.previous.key.pem",
        "certs/azure-iot-test-only.root.ca.previous.cert.pem",
        "certs/azure-iot-test-only.root.ca.new-by-previous.cert.pem",
        "certs/azure-iot-test-only.root.ca.previous-by-new.cert.pem",
    ] {
        assert!(!dir.path().join(gone).exists(), "{gone}");
    }
    // Those who ask the list of the new root trust the old one no more.
    let written = CaDirectory::write_crl(dir.path(), &lists, NOW).unwrap();
    assert_eq!((written.len(), written[0].entries), (1, 1));
    let list = pki::UnverifiedCrl::read(std::fs::read(&written[0].path).unwrap()).unwrap();
    let list = list.verify(&done.current.certificate, NOW).unwrap();
    let revoked = list.entries().next().unwrap();
    assert_eq!(revoked.serial, cross.serial().unwrap().as_bytes());

    let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
    assert_eq!(read(&identity.paths.chain).len(), 3);
    assert!(accepted(dir.path(), &identity, &done.current.certificate));
    let refused = CaDirectory::finish_root_roll(dir.path(), false, NOW);
    assert_eq!(
        refused.map(drop).map_err(problem),
        Err(RollProblem::RootNotInProgress)
    );
}

pub fn problem(error: CaError) -> RollProblem {
    match error {
        CaError::Roll(problem) => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn a_roll_that_is_abandoned_leaves_the_old_root_and_its_chains() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    start(dir.path()).unwrap();
    let status = CaDirectory::abandon_root_roll(dir.path(), NOW).unwrap();
    assert_eq!(&status.current.certificate, ca.root());
    assert!(status.previous.is_none() && status.cross.is_none());
    assert_eq!(
        read(&ca.intermediate_paths().chain),
        [ca.intermediate().clone(), ca.root().clone()]
    );
    let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
    assert!(accepted(dir.path(), &identity, ca.root()));
    // What it certified is on its list.
    let lists = CrlOptions {
        signer: Signer::Root,
        days: 30,
        passphrase: None,
    };
    let written = CaDirectory::write_crl(dir.path(), &lists, NOW).unwrap();
    assert_eq!((written.len(), written[0].entries), (1, 1));
    start(dir.path()).unwrap();
}

#[test]
fn cross_certificates_end_with_the_root_that_ends_first() {
    let dir = tempfile::tempdir().unwrap();
    let short = InitOptions {
        root_days: 400,
        ..InitOptions::default()
    };
    let ca = CaDirectory::init(dir.path(), &short, NOW).unwrap();
    let cross = start(dir.path()).unwrap().cross.unwrap();
    for file in [&cross.new_by_previous, &cross.previous_by_new] {
        let certificate = read(file).remove(0);
        assert_eq!(certificate.not_after(), ca.root().not_after());
        assert!(certificate.is_self_issued() && certificate.is_ca());
        assert_eq!(certificate.path_length(), Some(2));
    }
    let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
    let new = CaDirectory::root_roll_status(dir.path(), NOW)
        .unwrap()
        .current;
    assert!(verified_here(
        &identity.paths.chain,
        &new.certificate,
        days(300),
        &[]
    ));
}

#[test]
fn a_root_with_more_than_a_common_name_is_left_to_its_maker() {
    let made = tempfile::tempdir().unwrap();
    let (key, certificate) = (made.path().join("root.key"), made.path().join("root.pem"));
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj";
    let mut request: Vec<&str> = request.split(' ').collect();
    request.extend([
        "/O=Contoso/CN=Root",
        "-keyout",
        path(&key),
        "-out",
        path(&certificate),
    ]);
    openssl(&request).unwrap();
    let now = read(&certificate)[0].not_before();
    let options = InitOptions {
        external_root: Some(ExternalRoot { certificate, key }),
        ..InitOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    CaDirectory::init(dir.path(), &options, now).unwrap();
    let refused = CaDirectory::start_root_roll(dir.path(), &RootRollOptions::default(), now);
    assert_eq!(
        refused.map(drop).map_err(problem),
        Err(RollProblem::RootName)
    );
    CaDirectory::open(dir.path(), None).unwrap();
}
