//! A server that is killed while it rolls an issuer leaves an issuer that issues, with a group that
//! admits what it issues.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ca::DeviceIssuers;
use ids::{IssuerName, Thumbprint, Timestamp};
use issuing::Wanted;
use provisioning::{EnrollmentKey, Provisioning, Requester};
use registry::{Init, SystemEntropy};

const KILLS: usize = 12;
const NOW: i64 = 1_780_272_000;

fn child() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let child = profile.join("examples/rolls_for_ever");
    assert!(
        child.exists(),
        "{} is missing: build it with `cargo build -p issuing --examples`",
        child.display()
    );
    child
}

/// Runs the child until it has said `lines` lines and kills it; what it said last.
fn run_and_kill(directory: &Path, lines: usize) -> String {
    let mut child = Command::new(child())
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    let mut last = String::new();
    for (number, line) in reader.lines().map_while(Result::ok).enumerate() {
        // The last line may be cut off by the kill.
        if line.len() == "true ".len() + 64 || line.len() == "false ".len() + 64 {
            last = line;
        }
        if number + 1 == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child was killed");
    last
}

async fn open(directory: &Path) -> Provisioning {
    let init = Init {
        rehearse: false,
        hub_name: "hub".parse().unwrap(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let now = Timestamp::from_unix_seconds(NOW);
    let opened = Provisioning::open(directory, init, Default::default(), now);
    opened.await.unwrap()
}

fn request() -> pki::ProvenRequest {
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "dev-1");
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = params.serialize_request(&key).unwrap();
    pki::prove_request(csr.der()).unwrap()
}

/// The issuer can issue by every CA that it may come back to, and its group admits what is issued.
async fn check(directory: &Path, last: &str) {
    let provisioning = open(directory).await;
    let name: IssuerName = "fleet".parse().unwrap();
    let issuer = provisioning.issuer(&name).unwrap().unwrap();
    let generations = &issuer.generations;
    for generation in generations.all() {
        let key = directory.join(format!("ca/issuers/{}.pem", generation.thumbprint));
        assert!(key.exists(), "{} is missing", key.display());
    }
    let group = EnrollmentKey::Group("factory".parse().unwrap());
    let group = provisioning.enrollment(&group).await.unwrap().unwrap();
    let slots: BTreeSet<Thumbprint> = group
        .certificates
        .iter()
        .map(|one| one.thumbprint)
        .collect();
    let admitted: BTreeSet<Thumbprint> = generations.admitted().map(|one| one.thumbprint).collect();
    assert_eq!(slots, admitted);
    // What was said last is so, or the next step has been made since.
    let said = Thumbprint::parse(last.rsplit(' ').next().unwrap()).unwrap();
    assert!(
        generations.has(&said) || last.starts_with("true"),
        "{last} is lost"
    );

    let wanted = Wanted {
        issuer: &issuer,
        request: request(),
        common_name: None,
        requester: Requester::Operator,
    };
    let (keys, now) = (
        DeviceIssuers::at(directory),
        Timestamp::from_unix_seconds(NOW),
    );
    // Signed only: a certificate that is listed would have a roll that is abandoned lead back.
    let signed = issuing::sign(wanted, &keys, now).await.unwrap();
    assert!(admitted.contains(&signed.entry().authority));
}

#[tokio::test]
async fn an_issuer_whose_server_is_killed_while_it_rolls_goes_on_issuing() {
    let directory = tempfile::tempdir().unwrap();
    for kill in 1..=KILLS {
        let last = run_and_kill(directory.path(), kill);
        check(directory.path(), &last).await;
    }
}
