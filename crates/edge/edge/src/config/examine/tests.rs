//! Mistakes with certificates and keys, each with its message.

mod files;
mod forms;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{Issuer, KeyType, PrivateKey, Profile, Serial, Subject, Validity, prepare};
use wire::sas::SharedAccessKey;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A root, an intermediate and a device's identity; files in a folder.
struct TestIdentity {
    dir: tempfile::TempDir,
    root: Certificate,
    intermediate: Certificate,
    leaf: Certificate,
}

fn issue(profile: Profile, name: &str, key: &PrivateKey, issuer: Option<&Issuer>) -> Certificate {
    let (subject, serial) = (
        Subject::common_name(name).unwrap(),
        Serial::random().unwrap(),
    );
    let prepared = prepare(
        profile,
        &subject,
        issuer,
        Validity::UpTo(30 * DAY),
        serial,
        NOW,
    )
    .unwrap();
    prepared.lint().unwrap().sign(key).unwrap()
}

impl TestIdentity {
    fn new() -> Self {
        let key = || PrivateKey::generate(KeyType::Ec).unwrap();
        let (root_key, intermediate_key, leaf_key) = (key(), key(), key());
        let root = issue(Profile::Root { path_length: 1 }, "Root", &root_key, None);
        let root_issuer = Issuer::new(root.clone(), root_key).unwrap();
        let intermediate = issue(
            Profile::Intermediate { path_length: 0 },
            "Intermediate",
            &intermediate_key,
            Some(&root_issuer),
        );
        let issuer = Issuer::new(intermediate.clone(), intermediate_key).unwrap();
        let leaf = issue(Profile::EdgeIdentity, "edge-001", &leaf_key, Some(&issuer));
        let identity = Self {
            dir: tempfile::tempdir().unwrap(),
            root,
            intermediate,
            leaf,
        };
        identity.chain(&[&identity.leaf, &identity.intermediate, &identity.root]);
        identity.file("key.pem", leaf_key.to_pem().as_bytes(), 0o600);
        identity
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn chain(&self, certificates: &[&Certificate]) {
        let text: String = certificates
            .iter()
            .map(|certificate| certificate.to_pem())
            .collect();
        self.file("chain.pem", text.as_bytes(), 0o644);
    }

    fn examine(&self, registration_id: &str, now: Timestamp) -> Examined {
        let dir = self.path().display();
        let text = format!(
            "[provisioning]\nsource = \"dps\"\n\
             global_endpoint = \"https://dps.example\"\nid_scope = \"0ne1\"\n\
             [provisioning.attestation]\nmethod = \"x509\"\n{registration_id}\n\
             identity_cert = \"file://{dir}/chain.pem\"\nidentity_pk = \"file://{dir}/key.pem\"\n"
        );
        let (config, _) = Config::parse(&text).unwrap();
        examine(&config, Some(now))
    }

    /// The one error, which keeps the device from having a credential.
    fn error(&self) -> String {
        let examined = self.examine("registration_id = \"edge-001\"", NOW);
        assert!(examined.credential.is_none());
        let errors: Vec<String> = examined.faults.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.into_iter().next().unwrap()
    }
}

#[test]
fn a_full_chain_with_its_key_is_a_credential() {
    let identity = TestIdentity::new();
    for id in [
        "registration_id = \"edge-001\"",
        "registration_id = \"EDGE-001\"",
        "",
    ] {
        let examined = identity.examine(id, NOW);
        assert_eq!(examined.faults, []);
        let credential = examined.credential.unwrap();
        assert_eq!(credential.identity.leaf(), &identity.leaf);
        assert_eq!(credential.registration_id.unwrap().folded(), "edge-001");
    }
}

#[test]
fn a_leaf_without_its_issuer_works_and_is_warned_about() {
    let identity = TestIdentity::new();
    identity.chain(&[&identity.leaf]);
    let examined = identity.examine("", NOW);
    assert!(examined.credential.is_some());
    let error = examined.faults[0].to_string();
    assert!(
        examined.faults.len() == 1
            && error.contains("not its issuer CN=Intermediate")
            && error.contains("enrollment group"),
        "{error}"
    );
}

#[test]
fn a_broken_or_misordered_chain_is_refused() {
    let identity = TestIdentity::new();
    identity.chain(&[&identity.leaf, &identity.root, &identity.intermediate]);
    let error = identity.error();
    assert!(
        error.contains("issued by CN=Intermediate, which stands at place 3"),
        "{error}"
    );
    identity.chain(&[&identity.leaf, &identity.root]);
    let error = identity.error();
    assert!(
        error.contains("its issuer CN=Intermediate is not in the file"),
        "{error}"
    );
    identity.chain(&[&identity.leaf, &TestIdentity::new().intermediate]);
    let error = identity.error();
    assert!(error.contains("did not issue it"), "{error}");
}

#[test]
fn another_key_is_refused() {
    let identity = TestIdentity::new();
    let other = PrivateKey::generate(KeyType::Ec).unwrap();
    identity.file("key.pem", other.to_pem().as_bytes(), 0o600);
    let error = identity.error();
    assert!(
        error.starts_with("line 9: identity_pk")
            && error.contains("does not belong to the certificate of CN=edge-001"),
        "{error}"
    );
}

#[test]
fn a_ca_certificate_as_identity_is_explained() {
    let identity = TestIdentity::new();
    identity.chain(&[&identity.intermediate, &identity.root]);
    let examined = identity.examine("", NOW);
    assert!(examined.credential.is_none());
    let error = examined.faults[0].to_string();
    assert!(
        error.contains("begins with a CA certificate (CN=Intermediate)")
            && error.contains("full-chain"),
        "{error}"
    );
}

#[test]
fn another_common_name_is_refused_at_the_line_of_the_id() {
    let identity = TestIdentity::new();
    let examined = identity.examine("registration_id = \"edge-002\"", NOW);
    assert!(examined.credential.is_none());
    let error = examined.faults[0].to_string();
    assert!(
        error.starts_with("line 7: ")
            && error.contains("\"edge-002\"")
            && error.contains("\"edge-001\""),
        "{error}"
    );
}

#[test]
fn expired_and_not_yet_valid_have_different_messages() {
    let identity = TestIdentity::new();
    let late = identity.examine("", NOW.plus(31 * DAY));
    assert!(late.credential.is_none());
    assert!(
        late.faults[0].message.contains("expired at"),
        "{}",
        late.faults[0]
    );
    let early = identity.examine("", Timestamp::from_unix_seconds(0));
    assert!(early.credential.is_none());
    let error = early.faults[0].to_string();
    assert!(
        error.contains("is not valid before") && error.contains("the clock says 1970-01-01"),
        "{error}"
    );
}

impl TestIdentity {
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

#[test]
fn a_reversed_chain_and_a_self_signed_ca_have_different_messages() {
    let identity = TestIdentity::new();
    identity.chain(&[&identity.root, &identity.intermediate, &identity.leaf]);
    let error = identity.error();
    assert!(
        error.contains(
            "begins with a CA certificate; the device's own (CN=edge-001) stands at \
            place 3 and has to be the first"
        ),
        "{error}"
    );
    identity.chain(&[&identity.root]);
    let error = identity.error();
    assert!(
        error.contains("as plain `openssl req -x509` makes it")
            && !error.contains("perhaps the Edge CA's"),
        "{error}"
    );
}

#[test]
fn times_are_shown_in_seconds() {
    let identity = TestIdentity::new();
    let error = identity.examine("", NOW.plus(40 * DAY)).faults[0].to_string();
    assert!(
        error.contains("expired at") && !error.contains(".0000000Z"),
        "{error}"
    );
}
