//! Name constraints of CA certificates.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, GeneralSubtree, NameConstraints, SanType,
};

use crate::toy::{Toy, ca_params, code, days, key, leaf_params, verify};

fn directory(organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name
}

/// Reads subtrees such as `dir:Contoso`, `dns:example.org` and `mail:example.org`.
fn subtrees(text: &str) -> Vec<GeneralSubtree> {
    let one = |word: &str| match word.split_once(':').unwrap() {
        ("dir", name) => GeneralSubtree::DirectoryName(directory(name)),
        ("dns", name) => GeneralSubtree::DnsName(name.to_owned()),
        ("mail", name) => GeneralSubtree::Rfc822Name(name.to_owned()),
        (other, _) => panic!("{other}"),
    };
    text.split_whitespace().map(one).collect()
}

fn constrained([permitted, excluded]: [&str; 2]) -> CertificateParams {
    let mut params = ca_params("constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: subtrees(permitted),
        excluded_subtrees: subtrees(excluded),
    });
    params
}

/// A leaf of an organization, with an alternative name or without.
fn leaf_named(organization: &str, also: &str) -> CertificateParams {
    let mut params = leaf_params("");
    params.distinguished_name = directory(organization);
    params
        .distinguished_name
        .push(DnType::CommonName, "edge-001");
    let name = |(kind, name): (&str, &str)| match kind {
        "dns" => SanType::DnsName(name.try_into().unwrap()),
        "mail" => SanType::Rfc822Name(name.try_into().unwrap()),
        "uri" => SanType::URI(name.try_into().unwrap()),
        other => panic!("{other}"),
    };
    params.subject_alt_names = also.split_once('=').map(name).into_iter().collect();
    params
}

const NO: &str = "name_constraint_violated";

/// What comes of what a CA permits and excludes, the organization of a leaf
/// and its alternative name.
const CONSTRAINTS: &[(&str, [&str; 2], &str, &str)] = &[
    ("ok", ["dir:Contoso", ""], "Contoso", ""),
    ("ok", ["dir:Contoso", ""], "CONTOSO", ""),
    (NO, ["dir:Contoso", ""], "Fabrikam", ""),
    (NO, ["", "dir:Contoso"], "Contoso", ""),
    ("ok", ["", "dir:Contoso"], "Fabrikam", ""),
    ("ok", ["dns:example.org", ""], "Contoso", ""),
    (
        "ok",
        ["dns:example.org", ""],
        "Contoso",
        "dns=a.example.org",
    ),
    (NO, ["dns:example.org", ""], "Contoso", "dns=example.com"),
    (
        NO,
        ["dns:example.org", "dns:a.example.org"],
        "Contoso",
        "dns=a.example.org",
    ),
    (
        NO,
        ["", "dns:a.example.org"],
        "Contoso",
        "dns=*.example.org",
    ),
    (
        "ok",
        ["mail:example.org", ""],
        "Contoso",
        "mail=a@example.org",
    ),
    (
        NO,
        ["mail:example.org", ""],
        "Contoso",
        "mail=a@b.example.org",
    ),
    (
        "ok",
        ["mail:.example.org", ""],
        "Contoso",
        "mail=a@b.example.org",
    ),
    (
        NO,
        ["", "mail:a@example.org"],
        "Contoso",
        "mail=a@EXAMPLE.org",
    ),
    ("ok", ["dns:x", ""], "Contoso", "uri=urn:device:1"),
];

/// directory names are evaluated, and the other kinds as before.
#[test]
fn name_constraints_of_every_kind_are_evaluated() {
    for case in CONSTRAINTS {
        let (expected, limits, organization, also) = *case;
        let root = Toy::root("root");
        let ca = Toy::signed(constrained(limits), key(1), Some(&root));
        let leaf = leaf_named(organization, also);
        let direct = Toy::signed(leaf.clone(), key(7), Some(&ca));
        assert_eq!(code(verify(&[&direct, &ca], &root)), expected, "{case:?}");
        // As the anchor itself, and past a CA that renewed its own certificate.
        assert_eq!(code(verify(&[&direct], &ca)), expected, "{case:?}");
        let mut params = ca_params("constrained");
        params.not_before = days(-9).to_offset_date_time();
        let renewed = Toy::signed(params, key(3), Some(&ca));
        let leaf = Toy::signed(leaf, key(7), Some(&renewed));
        let found = code(verify(&[&leaf, &renewed, &ca], &root));
        assert_eq!(found, expected, "{case:?}");
    }
}

#[test]
fn a_violated_name_constraint_is_told_with_the_name_and_the_issuer() {
    let root = Toy::root("root");
    let ca = Toy::signed(constrained(["dir:Contoso", ""]), key(1), Some(&root));
    let leaf = Toy::signed(leaf_named("Fabrikam", ""), key(7), Some(&ca));
    let text = verify(&[&leaf, &ca], &root).unwrap_err().to_string();
    let names = text.contains("CN=edge-001, O=Fabrikam") && text.contains("CN=constrained");
    assert!(names, "{text}");
}

/// What an issuer far above wrote costs no more than so much.
#[test]
fn comparing_names_with_constraints_has_an_end() {
    let many = (0..200).map(|n| format!("dns:h{n}.example "));
    let ca = constrained([&many.collect::<String>(), ""]);
    let ca = Toy::signed(ca, key(1), None);
    let mut leaf = leaf_params("edge-001");
    let name = |n| SanType::DnsName(format!("h{n}.example").try_into().unwrap());
    leaf.subject_alt_names = (0..200).map(name).collect();
    let leaf = Toy::signed(leaf, key(7), Some(&ca));
    assert_eq!(code(verify(&[&leaf], &ca)), "certificate_not_understood");
}
