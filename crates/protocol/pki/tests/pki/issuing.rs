//! Profiles, lints and signing.

use std::time::Duration;

use pki::{
    Certificate, IssueError, Issuer, KeyType, PrivateKey, Profile, Serial, ServerName, Subject,
    Validity, prepare,
};

use crate::toy::{NOW, Toy, days, key, leaf_params};

const DAY: Duration = Duration::from_secs(86_400);

fn issue(
    profile: Profile,
    name: &str,
    issuer: Option<&Issuer>,
    validity: Validity,
    key: &PrivateKey,
) -> Result<Certificate, IssueError> {
    let subject = Subject::common_name(name)?;
    let serial = Serial::from_random([0xff; 16]);
    prepare(profile, &subject, issuer, validity, serial, NOW)?
        .lint()?
        .sign(key)
}

fn root(path_length: u8) -> Issuer {
    let root = issue(
        Profile::Root { path_length },
        "root",
        None,
        Validity::Exactly(DAY * 100),
        &key(0),
    )
    .unwrap();
    Issuer::new(root, key(0)).unwrap()
}

#[test]
fn an_identity_says_what_the_profile_says() {
    let root = root(2);
    let leaf = issue(
        Profile::EdgeIdentity,
        "edge-001",
        Some(&root),
        Validity::UpTo(DAY * 30),
        &key(1),
    )
    .unwrap();
    assert_eq!(
        (leaf.subject(), leaf.issuer()),
        ("CN=edge-001".to_owned(), "CN=root".to_owned())
    );
    assert_eq!((leaf.version(), leaf.is_ca()), (3, false));
    assert_eq!(leaf.serial_hex(), "7F".to_owned() + &"FF".repeat(15));
    assert_eq!(leaf.not_before(), NOW.minus(Duration::from_secs(300)));
    assert_eq!(leaf.not_after(), days(30));
    key(1).matches(&leaf).unwrap();
}

#[test]
fn nothing_outlives_its_issuer() {
    let root = root(2);
    let identity = |validity| {
        issue(
            Profile::EdgeIdentity,
            "edge-001",
            Some(&root),
            validity,
            &key(1),
        )
    };
    assert_eq!(
        identity(Validity::UpTo(DAY * 500)).unwrap().not_after(),
        days(100)
    );
    let fault = identity(Validity::Exactly(DAY * 101))
        .unwrap_err()
        .to_string();
    assert!(
        fault.contains("2026-04-12T") && fault.contains("2026-04-11T"),
        "{fault}"
    );
    assert!(identity(Validity::Exactly(DAY * 100)).is_ok());
    let none = identity(Validity::Exactly(Duration::ZERO));
    assert!(matches!(none, Err(IssueError::Lifetime(_))));
}

#[test]
fn an_expired_issuer_issues_nothing() {
    let root = root(2);
    let subject = Subject::common_name("edge-001").unwrap();
    let serial = Serial::from_random([1; 16]);
    let fault = prepare(
        Profile::EdgeIdentity,
        &subject,
        Some(&root),
        Validity::UpTo(DAY),
        serial,
        days(101),
    );
    assert!(matches!(fault, Err(IssueError::IssuerNotValid { .. })));
}

#[test]
fn path_lengths_get_smaller_downwards() {
    let root = root(1);
    let below = |path_length| {
        let profile = Profile::Intermediate { path_length };
        issue(profile, "middle", Some(&root), Validity::UpTo(DAY), &key(1))
    };
    assert!(below(0).is_ok());
    let fault = below(1).unwrap_err();
    let text = std::error::Error::source(&fault).unwrap().to_string();
    assert!(text.contains("pathlen does not allow"), "{text}");
}

#[test]
fn names_are_checked() {
    let root = root(2);
    let identity = |name: &str| {
        issue(
            Profile::EdgeIdentity,
            name,
            Some(&root),
            Validity::UpTo(DAY),
            &key(1),
        )
    };
    assert!(identity(&"a".repeat(64)).is_ok());
    assert!(matches!(
        identity(&"a".repeat(65)),
        Err(IssueError::CommonName { length: 65, .. })
    ));
    assert!(matches!(identity(""), Err(IssueError::CommonName { .. })));
    assert!(matches!(
        identity("edge/001"),
        Err(IssueError::RegistrationId(_))
    ));
    assert!(matches!(
        identity("edge."),
        Err(IssueError::RegistrationId(_))
    ));
    let code = issue(
        Profile::Verification,
        "a code!",
        Some(&root),
        Validity::UpTo(DAY),
        &key(1),
    );
    assert_eq!(code.unwrap().subject_common_name(), Some("a code!"));
}

#[test]
fn a_server_names_its_hosts() {
    let root = root(0);
    let server = |hosts: &[&str]| {
        let names = hosts
            .iter()
            .map(|host| ServerName::parse(host).unwrap())
            .collect();
        issue(
            Profile::Server { names },
            "server",
            Some(&root),
            Validity::UpTo(DAY),
            &key(1),
        )
    };
    let named = server(&["Hub.Example", "127.0.0.1", "[::1]"])
        .unwrap()
        .server_names();
    let texts: Vec<String> = named.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["hub.example", "127.0.0.1", "::1"]);
    assert!(matches!(server(&[]), Err(IssueError::Lint(_))));
    assert!(ServerName::parse("not a host").is_err());
}

#[test]
fn only_a_ca_with_its_own_key_issues() {
    let root = root(2);
    let leaf = Toy::signed(leaf_params("leaf"), key(2), None);
    let refused = Issuer::new(leaf.certificate, leaf.key);
    assert!(matches!(refused, Err(IssueError::NotAnIssuer { .. })));
    let refused = Issuer::new(root.certificate().clone(), key(3));
    assert!(matches!(refused, Err(IssueError::IssuerKey(_))));
    let unsigned_by_others = issue(
        Profile::Verification,
        "edge-001",
        None,
        Validity::UpTo(DAY),
        &key(1),
    );
    assert!(matches!(unsigned_by_others, Err(IssueError::Lint(_))));
}

#[test]
fn rsa_signs_and_is_signed() {
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let root = issue(
        Profile::Root { path_length: 1 },
        "rsa root",
        None,
        Validity::UpTo(DAY),
        &rsa,
    )
    .unwrap();
    let root = Issuer::new(root, rsa.clone()).unwrap();
    let leaf = issue(
        Profile::EdgeIdentity,
        "edge-001",
        Some(&root),
        Validity::UpTo(DAY),
        &rsa,
    )
    .unwrap();
    assert!(leaf.is_signed_by(root.certificate()));
    rsa.matches(&leaf).unwrap();
}
