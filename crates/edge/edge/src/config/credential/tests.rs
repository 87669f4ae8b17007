//! Every mistake with certificates and keys that the issue of the first journey names, each with
//! its message.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{Issuer, KeyType, Profile, Serial, Subject, Validity, prepare};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A root, an intermediate and a device's identity; files in a folder.
struct Shop {
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

impl Shop {
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
        let shop = Self {
            dir: tempfile::tempdir().unwrap(),
            root,
            intermediate,
            leaf,
        };
        shop.chain(&[&shop.leaf, &shop.intermediate, &shop.root]);
        shop.file("key.pem", leaf_key.to_pem().as_bytes(), 0o600);
        shop
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
            "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps.example\"\nid_scope = \"0ne1\"\n\
             [provisioning.attestation]\nmethod = \"x509\"\n{registration_id}\n\
             identity_cert = \"file://{dir}/chain.pem\"\nidentity_pk = \"file://{dir}/key.pem\"\n"
        );
        let (config, _) = Config::parse(&text).unwrap();
        examine(&config, now)
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
    let shop = Shop::new();
    for id in [
        "registration_id = \"edge-001\"",
        "registration_id = \"EDGE-001\"",
        "",
    ] {
        let examined = shop.examine(id, NOW);
        assert_eq!(examined.faults, []);
        let credential = examined.credential.unwrap();
        assert_eq!(credential.registration_id.folded(), "edge-001");
        assert_eq!(credential.identity.leaf(), &shop.leaf);
    }
}

#[test]
fn a_leaf_without_its_issuer_works_and_is_warned_about() {
    let shop = Shop::new();
    shop.chain(&[&shop.leaf]);
    let examined = shop.examine("", NOW);
    assert!(examined.credential.is_some());
    let told = examined.faults[0].to_string();
    assert!(
        examined.faults.len() == 1
            && told.contains("not its issuer CN=Intermediate")
            && told.contains("enrollment group"),
        "{told}"
    );
}

#[test]
fn a_broken_or_misordered_chain_is_refused() {
    let shop = Shop::new();
    shop.chain(&[&shop.leaf, &shop.root, &shop.intermediate]);
    let told = shop.error();
    assert!(
        told.contains("issued by CN=Intermediate, which stands at place 3"),
        "{told}"
    );
    shop.chain(&[&shop.leaf, &shop.root]);
    let told = shop.error();
    assert!(
        told.contains("its issuer CN=Intermediate is not in the file"),
        "{told}"
    );
    shop.chain(&[&shop.leaf, &Shop::new().intermediate]);
    let told = shop.error();
    assert!(told.contains("did not issue it"), "{told}");
}

#[test]
fn another_key_is_refused() {
    let shop = Shop::new();
    let other = PrivateKey::generate(KeyType::Ec).unwrap();
    shop.file("key.pem", other.to_pem().as_bytes(), 0o600);
    let told = shop.error();
    assert!(
        told.starts_with("line 9: identity_pk")
            && told.contains("does not belong to the certificate of CN=edge-001"),
        "{told}"
    );
}

#[test]
fn a_ca_certificate_as_identity_is_explained() {
    let shop = Shop::new();
    shop.chain(&[&shop.intermediate, &shop.root]);
    let examined = shop.examine("", NOW);
    assert!(examined.credential.is_none());
    let told = examined.faults[0].to_string();
    assert!(
        told.contains("begins with a CA certificate (CN=Intermediate)")
            && told.contains("full-chain"),
        "{told}"
    );
}

#[test]
fn another_common_name_is_refused_at_the_line_of_the_id() {
    let shop = Shop::new();
    let examined = shop.examine("registration_id = \"edge-002\"", NOW);
    assert!(examined.credential.is_none());
    let told = examined.faults[0].to_string();
    assert!(
        told.starts_with("line 7: ")
            && told.contains("\"edge-002\"")
            && told.contains("\"edge-001\""),
        "{told}"
    );
}

#[test]
fn expired_and_not_yet_valid_are_told_apart() {
    let shop = Shop::new();
    let late = shop.examine("", NOW.plus(31 * DAY));
    assert!(late.credential.is_none());
    assert!(
        late.faults[0].message.contains("expired at"),
        "{}",
        late.faults[0]
    );
    let early = shop.examine("", Timestamp::from_unix_seconds(0));
    assert!(early.credential.is_none());
    let told = early.faults[0].to_string();
    assert!(
        told.contains("is not valid before") && told.contains("the clock says 1970-01-01"),
        "{told}"
    );
}

#[test]
fn an_open_key_file_names_the_command() {
    let shop = Shop::new();
    let key = fs::read(shop.path().join("key.pem")).unwrap();
    shop.file("key.pem", &key, 0o640);
    let told = shop.error();
    assert!(
        told.contains("mode 0640") && told.contains("run: chmod 600 "),
        "{told}"
    );
}

#[test]
fn missing_and_foreign_files_are_told() {
    let shop = Shop::new();
    fs::remove_file(shop.path().join("key.pem")).unwrap();
    assert!(shop.error().contains("key.pem does not exist"));
    let shop = Shop::new();
    shop.file("key.pem", shop.leaf.to_pem().as_bytes(), 0o600);
    assert!(shop.error().contains("is this the certificate file?"));
    let shop = Shop::new();
    shop.file("chain.pem", shop.text("key.pem").as_bytes(), 0o644);
    assert!(shop.error().contains("is this the key file?"));
    let shop = Shop::new();
    shop.file("chain.pem", &vec![b'a'; 300_000], 0o644);
    assert!(shop.error().contains("more than 262144 bytes"));
}

/// Root may read everything, so that the refusal is looked at where it is made.
#[test]
fn an_unreadable_file_is_told() {
    let denied = problem_of(
        Path::new("/k.pem"),
        &std::io::ErrorKind::PermissionDenied.into(),
    );
    assert!(
        denied.contains("/k.pem may not be read by this user"),
        "{denied}"
    );
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

impl Shop {
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

/// PEM as real tools and editors write it.
#[test]
fn files_of_other_editors_are_read() {
    let shop = Shop::new();
    let (chain, key) = (shop.text("chain.pem"), shop.text("key.pem"));
    for (name, content) in [
        ("chain.pem", format!("\u{feff}{chain}").into_bytes()),
        ("chain.pem", chain.replace('\n', "\r\n").into_bytes()),
        ("chain.pem", utf16(&chain)),
        ("chain.pem", shop.leaf.der().to_vec()),
        ("key.pem", format!("\u{feff}{key}").into_bytes()),
        ("key.pem", key.replace('\n', "\r\n").into_bytes()),
        (
            "chain.pem",
            [b"subject=O = Caf\xe9\n", chain.as_bytes()].concat(),
        ),
    ] {
        let before = shop.text(name);
        shop.file(name, &content, 0o600);
        let examined = shop.examine("", NOW);
        assert!(
            examined.credential.is_some(),
            "{name}: {:?}",
            examined.faults
        );
        shop.file(name, before.as_bytes(), 0o600);
    }
}

/// Everybody could exchange what the device believes.
#[test]
fn a_file_that_everybody_may_write_is_warned_about() {
    let shop = Shop::new();
    let chain = shop.text("chain.pem");
    shop.file("chain.pem", chain.as_bytes(), 0o666);
    let examined = shop.examine("", NOW);
    assert!(examined.credential.is_some());
    let told = examined.faults[0].to_string();
    assert!(
        examined.faults.len() == 1
            && told.contains("identity_cert")
            && told.contains("can be written by everybody (mode 0666)"),
        "{told}"
    );
}

#[test]
fn files_in_other_forms_are_told_what_they_are() {
    let shop = Shop::new();
    let key = shop.text("key.pem");
    let leaf = shop.leaf.to_pem();
    let header = [0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x30];
    let pfx = [&header[..], &[0; 252]].concat();
    for (name, content, expected) in [
        (
            "key.pem",
            utf16(&key),
            "UTF-16 text; convert it with: iconv",
        ),
        (
            "key.pem",
            der(&key),
            "DER and not PEM; convert it with: openssl pkey -inform der",
        ),
        ("key.pem", der(&leaf), "is this the certificate file?"),
        (
            "key.pem",
            leaf.into_bytes(),
            "is this the certificate file?",
        ),
        ("key.pem", pfx.clone(), "PKCS#12 (.pfx, .p12) and not PEM"),
        ("chain.pem", pfx, "it is a PKCS#12 file"),
        ("chain.pem", der(&key), "is this the key file?"),
    ] {
        let before = shop.text(name);
        shop.file(name, &content, 0o600);
        let told = shop.error();
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains("openssl x509"), "{told}");
        shop.file(name, before.as_bytes(), 0o600);
    }
}

/// The device has no place for a passphrase; a command that encrypts again would not help.
#[test]
fn an_encrypted_key_is_to_be_decrypted() {
    let shop = Shop::new();
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let encrypted = key.to_encrypted_pem(b"secret").unwrap();
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: \
        DES-EDE3-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for text in [encrypted.as_str(), old] {
        shop.file("key.pem", text.as_bytes(), 0o600);
        let told = shop.error();
        assert!(
            told.contains(
                "the device has no place for one; decrypt it with: openssl pkey -in FILE -out NEW"
            ),
            "{told}"
        );
        assert!(
            !told.contains("give its passphrase") && !told.contains("topk8"),
            "{told}"
        );
    }
}

#[test]
fn a_chain_the_wrong_way_round_and_a_self_signed_ca_are_told_apart() {
    let shop = Shop::new();
    shop.chain(&[&shop.root, &shop.intermediate, &shop.leaf]);
    let told = shop.error();
    assert!(
        told.contains(
            "begins with a CA certificate; the device's own (CN=edge-001) stands at \
            place 3 and has to be the first"
        ),
        "{told}"
    );
    shop.chain(&[&shop.root]);
    let told = shop.error();
    assert!(
        told.contains("as plain `openssl req -x509` makes it")
            && !told.contains("perhaps the Edge CA's"),
        "{told}"
    );
}

#[test]
fn moments_are_told_in_seconds() {
    let shop = Shop::new();
    let told = shop.examine("", NOW.plus(40 * DAY)).faults[0].to_string();
    assert!(
        told.contains("expired at") && !told.contains(".0000000Z"),
        "{told}"
    );
}
