use std::path::Path;

use ca::{
    CaDirectory, CaError, CrlOptions, IdentityOptions, InitOptions, RollOptions, RollProblem,
    Signer,
};

use crate::tools::{NOW, days, issue, path, verified_by_openssl};

fn start(dir: &Path) -> Result<ca::RollStatus, CaError> {
    CaDirectory::start_roll(dir, &RollOptions::default(), NOW)
}

fn issue_from(dir: &Path, name: &str) -> ca::IssuedIdentity {
    let ca = CaDirectory::open(dir, None).unwrap();
    issue(&ca, name, &IdentityOptions::default(), NOW).unwrap()
}

fn verified(ca: &CaDirectory, identity: &ca::IssuedIdentity) {
    let root = ca.root_paths().certificate;
    verified_by_openssl(&root, &identity.paths.chain, &identity.paths.certificate).unwrap();
}

#[test]
fn both_intermediates_count_until_the_old_one_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let old = issue_from(dir.path(), "old-1");
    let status = start(dir.path()).unwrap();
    let previous = status.previous.unwrap();
    assert_eq!(&previous.certificate, ca.intermediate());
    assert_eq!((previous.valid, status.current.valid), (1, 0));
    assert!(matches!(
        start(dir.path()),
        Err(CaError::Roll(RollProblem::InProgress))
    ));

    let new = issue_from(dir.path(), "new-1");
    assert!(new.certificate.is_signed_by(&status.current.certificate));
    for identity in [&old, &new] {
        verified(&ca, identity);
    }
    let lists = CrlOptions {
        signer: Signer::Intermediate,
        days: 30,
        passphrase: None,
    };
    let lists = CaDirectory::write_crl(dir.path(), &lists, NOW).unwrap();
    assert_eq!(lists.len(), 2);

    let refused = CaDirectory::finish_roll(dir.path(), false, NOW);
    assert!(matches!(
        refused,
        Err(CaError::Roll(RollProblem::InUse { valid: 1 }))
    ));
    let refused = CaDirectory::abandon_roll(dir.path(), false, NOW);
    assert!(matches!(
        refused,
        Err(CaError::Roll(RollProblem::NewInUse { valid: 1 }))
    ));
    // When the old certificate has expired, nothing is lost.
    let done = CaDirectory::finish_roll(dir.path(), false, days(366)).unwrap();
    assert!(done.previous.is_none());
    let key = dir
        .path()
        .join("private/azure-iot-test-only.intermediate.previous.key.pem");
    assert!(!key.exists());
    let of_root = CrlOptions {
        signer: Signer::Root,
        days: 30,
        passphrase: None,
    };
    let of_root = CaDirectory::write_crl(dir.path(), &of_root, NOW).unwrap();
    assert_eq!(of_root[0].entries, 1);
    let refused = CaDirectory::finish_roll(dir.path(), false, NOW);
    assert!(matches!(
        refused,
        Err(CaError::Roll(RollProblem::NotInProgress))
    ));
}

#[test]
fn an_abandoned_roll_leaves_the_old_intermediate_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    start(dir.path()).unwrap();
    let status = CaDirectory::abandon_roll(dir.path(), false, NOW).unwrap();
    assert_eq!(&status.current.certificate, ca.intermediate());
    assert!(status.previous.is_none());
    verified(&ca, &issue_from(dir.path(), "edge-1"));
}

#[test]
fn a_new_hierarchy_that_cannot_be_made_leaves_the_roll_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    start(dir.path()).unwrap();
    let contents = || -> Vec<_> {
        let files = crate::tools::files(dir.path()).into_iter();
        files
            .map(|file| (std::fs::read(&file).unwrap(), file))
            .collect()
    };
    let before = contents();
    let text = |passphrase: &str| Some(passphrase.to_owned().into());
    let force = InitOptions {
        force: true,
        ..InitOptions::default()
    };
    let external = ca::ExternalRoot {
        certificate: dir.path().join("none.pem"),
        key: dir.path().join("none.key"),
    };
    let unusable = [
        InitOptions {
            passphrase: text(""),
            ..force.clone()
        },
        InitOptions {
            passphrase: text(""),
            root_passphrase: text("long enough"),
            ..force.clone()
        },
        InitOptions {
            external_root: Some(external),
            ..force.clone()
        },
        InitOptions {
            root_days: 30,
            intermediate_days: Some(31),
            ..force.clone()
        },
    ];
    for options in unusable {
        CaDirectory::init(dir.path(), &options, NOW).unwrap_err();
        assert!(before == contents(), "{options:?}");
    }
    CaDirectory::init(dir.path(), &force, NOW).unwrap();
    let status = CaDirectory::roll_status(dir.path(), NOW);
    assert!(status.map_or(true, |status| status.previous.is_none()));
}

const STEM: &str = "azure-iot-test-only.intermediate";

/// The files of an intermediate, in the order in which they are written.
fn parts(kind: &str) -> [String; 3] {
    [
        format!("private/{STEM}{kind}.key.pem"),
        format!("certs/{STEM}{kind}-full-chain.cert.pem"),
        format!("certs/{STEM}{kind}.cert.pem"),
    ]
}

/// Every state of the folder that a kill can leave is that before some file is written or removed,
/// so a start is repeated with the files of all earlier moments of it.
#[test]
fn a_start_that_was_interrupted_anywhere_is_completed_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    CaDirectory::init(whole.path(), &InitOptions::default(), NOW).unwrap();
    let old = issue_from(whole.path(), "old-1");
    let before = copy(whole.path());
    start(whole.path()).unwrap();
    let state = std::fs::read_to_string(whole.path().join("index/roll.json")).unwrap();
    let starting = state.replace("inProgress", "starting");
    assert_ne!(state, starting);
    let writes: Vec<(String, String)> = parts(".previous")
        .into_iter()
        .chain(parts(""))
        .map(|file| {
            let text = std::fs::read_to_string(whole.path().join(&file)).unwrap();
            (file, text)
        })
        .collect();
    for done in 0..=writes.len() {
        let dir = copy(before.path());
        // The new intermediate, which the start has made first.
        for (next, current) in parts(".next").iter().zip(parts("")) {
            std::fs::copy(whole.path().join(current), dir.path().join(next)).unwrap();
        }
        let records = std::fs::read(whole.path().join("index/issued.jsonl")).unwrap();
        std::fs::write(dir.path().join("index/issued.jsonl"), records).unwrap();
        std::fs::write(dir.path().join("index/roll.json"), &starting).unwrap();
        for (file, text) in &writes[..done] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let refused = CaDirectory::open(dir.path(), None);
        assert!(matches!(
            refused,
            Err(CaError::Roll(RollProblem::Interrupted))
        ));
        let status = start(dir.path()).unwrap();
        let previous = status.previous.unwrap();
        assert!(
            old.certificate.is_signed_by(&previous.certificate),
            "{done}"
        );
        let ca = CaDirectory::open(dir.path(), None).unwrap();
        assert_eq!(ca.intermediate(), &status.current.certificate);
        verified(&ca, &issue_from(dir.path(), "new-1"));
        let next = dir.path().join(format!("private/{STEM}.next.key.pem"));
        assert!(!next.exists());
        // The old key is still there, with its certificate.
        let kept = dir.path().join(format!("private/{STEM}.previous.key.pem"));
        let key = std::fs::read_to_string(kept).unwrap();
        let key = pki::PrivateKey::from_pem(&key, None).unwrap();
        key.matches(&previous.certificate).unwrap();
    }
}

pub fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in crate::tools::files(from) {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(path(&file), target).unwrap();
    }
    to
}
