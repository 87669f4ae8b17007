//! Rolls of the root that are killed at any moment.

use ca::{CaDirectory, IdentityKind, InitOptions, RollOptions, RollProblem};

use crate::root_roll::{accepted, issue, problem, read, start};
use crate::tools::NOW;

const STEM: &str = "azure-iot-test-only.root.ca";

/// The files of a root, in the order in which they are written.
fn parts(kind: &str) -> [String; 2] {
    [
        format!("private/{STEM}{kind}.key.pem"),
        format!("certs/{STEM}{kind}.cert.pem"),
    ]
}

/// Every state of the folder that a kill can leave is that before some file is written, so a start
/// is repeated with the files of all earlier moments of it.
#[test]
fn a_start_that_was_interrupted_anywhere_is_completed_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    let old = CaDirectory::init(whole.path(), &InitOptions::default(), NOW).unwrap();
    let old = old.root().clone();
    let before = crate::roll::copy(whole.path());
    let new = start(whole.path()).unwrap().current.certificate;
    let text = |file: &str| std::fs::read_to_string(whole.path().join(file)).unwrap();
    let starting = text("index/root-roll.json").replace("inProgress", "starting");
    let chain = "certs/azure-iot-test-only.intermediate-full-chain.cert.pem".to_owned();
    let writes = parts(".previous")
        .into_iter()
        .chain(parts(""))
        .chain([chain]);
    let writes: Vec<_> = writes.map(|file| (text(&file), file)).collect();
    for done in 0..=writes.len() {
        let dir = crate::roll::copy(before.path());
        let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        // What the start has made first.
        for (next, current) in parts(".next").iter().zip(parts("")) {
            write(next, &text(&current));
        }
        for kind in [".new-by-previous", ".previous-by-new"] {
            let file = format!("certs/{STEM}{kind}.cert.pem");
            write(&file, &text(&file));
        }
        write("index/issued.jsonl", &text("index/issued.jsonl"));
        write("index/root-roll.json", &starting);
        for (text, file) in &writes[..done] {
            write(file, text);
        }
        let refused = CaDirectory::open(dir.path(), None).map(drop);
        assert_eq!(refused.map_err(problem), Err(RollProblem::RootInterrupted));
        let status = start(dir.path()).unwrap();
        assert_eq!(status.current.certificate, new);
        assert_eq!(status.previous.unwrap().certificate, old);
        let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
        for root in [&old, &new] {
            assert!(accepted(dir.path(), &identity, root), "{done}");
        }
        assert!(!dir.path().join(&parts(".next")[0]).exists());
        for (kind, root) in [("", &new), (".previous", &old)] {
            let key = std::fs::read_to_string(dir.path().join(&parts(kind)[0])).unwrap();
            pki::PrivateKey::from_pem(&key, None)
                .unwrap()
                .matches(root)
                .unwrap();
        }
    }
}

/// The same of going back: every moment of it is repeated.
#[test]
fn an_abandonment_that_was_interrupted_anywhere_is_completed_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    let old = CaDirectory::init(whole.path(), &InitOptions::default(), NOW).unwrap();
    let old = old.root().clone();
    start(whole.path()).unwrap();
    let rolling = crate::roll::copy(whole.path());
    CaDirectory::abandon_root_roll(whole.path(), NOW).unwrap();
    let text = |file: &str| std::fs::read_to_string(whole.path().join(file)).unwrap();
    let state = std::fs::read_to_string(rolling.path().join("index/root-roll.json")).unwrap();
    let chain = "certs/azure-iot-test-only.intermediate-full-chain.cert.pem".to_owned();
    let written: Vec<String> = parts("").into_iter().chain([chain]).collect();
    let cross = [".new-by-previous", ".previous-by-new"];
    let cross = cross.map(|kind| format!("certs/{STEM}{kind}.cert.pem"));
    let mut previous = parts(".previous");
    // The certificate goes first.
    previous.reverse();
    let removed: Vec<String> = cross.into_iter().chain(previous).collect();
    for done in 0..=written.len() + removed.len() {
        let dir = crate::roll::copy(rolling.path());
        let abandoning = state.replace("inProgress", "abandoning");
        std::fs::write(dir.path().join("index/root-roll.json"), abandoning).unwrap();
        let revoked = "index/revoked.jsonl";
        std::fs::write(dir.path().join(revoked), text(revoked)).unwrap();
        for file in written.iter().take(done) {
            std::fs::write(dir.path().join(file), text(file)).unwrap();
        }
        for file in removed.iter().take(done.saturating_sub(written.len())) {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        let status = CaDirectory::abandon_root_roll(dir.path(), NOW).unwrap();
        assert_eq!(status.current.certificate, old, "{done}");
        let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
        assert!(accepted(dir.path(), &identity, &old), "{done}");
        for file in &removed {
            assert!(!dir.path().join(file).exists(), "{done} {file}");
        }
    }
}

/// The same of the end: what is left of the old root goes.
#[test]
fn a_finish_that_was_interrupted_anywhere_is_completed_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    CaDirectory::init(whole.path(), &InitOptions::default(), NOW).unwrap();
    let new = start(whole.path()).unwrap().current.certificate;
    CaDirectory::start_roll(whole.path(), &RollOptions::default(), NOW).unwrap();
    CaDirectory::finish_roll(whole.path(), false, NOW).unwrap();
    let rolling = crate::roll::copy(whole.path());
    CaDirectory::finish_root_roll(whole.path(), false, NOW).unwrap();
    let mut previous = parts(".previous");
    previous.reverse();
    let cross = [".new-by-previous", ".previous-by-new"];
    let cross = cross.map(|kind| format!("certs/{STEM}{kind}.cert.pem"));
    let state = ["index/root-roll.json".to_owned()];
    let removed: Vec<String> = state.into_iter().chain(cross).chain(previous).collect();
    let chain = "certs/azure-iot-test-only.intermediate-full-chain.cert.pem";
    for done in 0..removed.len() {
        let dir = crate::roll::copy(rolling.path());
        let take = |file: &str| {
            let text = std::fs::read(whole.path().join(file)).unwrap();
            std::fs::write(dir.path().join(file), text).unwrap();
        };
        take("index/revoked.jsonl");
        if done > 1 {
            take(chain);
        }
        for file in &removed[..done] {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        CaDirectory::finish_root_roll(dir.path(), false, NOW).unwrap();
        let identity = issue(dir.path(), &IdentityKind::EdgeIdentity, "edge-1");
        assert!(accepted(dir.path(), &identity, &new), "{done}");
        for file in &removed {
            assert!(!dir.path().join(file).exists(), "{done} {file}");
        }
        let chain = read(&dir.path().join(chain));
        assert_eq!(chain.last(), Some(&new), "{done}");
    }
}
