//! What a path must be beyond its signatures: its purpose, its server's name, its depth, what
//! RFC 5280 wants of a server's issuers, and revocation.

use std::net::IpAddr;

use ids::Timestamp;
use pki::{
    Certificate, ChainError, IssuerCache, PathRules, Purpose, RevocationCheck, RevocationStatus,
    Revocations, ServerName, verify_path, verify_path_to_any,
};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, GeneralSubtree,
    KeyIdMethod, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};

use crate::toy::{NOW, Toy, ca_params, chain, days, key, leaf_params};

fn rule(rules: &PathRules<'_>, presented: &[&Toy], trust_anchor: &Toy) -> &'static str {
    let presented = chain(presented);
    let cache = IssuerCache::default();
    let verify = || verify_path(rules, &presented, &trust_anchor.certificate, NOW, &cache);
    let first = verify().map_or_else(|fault| fault.code(), |_| "ok");
    let again = verify().map_or_else(|fault| fault.code(), |_| "ok");
    assert_eq!(first, again, "the cache changes the decision");
    first
}

fn server_params(names: &[SanType]) -> CertificateParams {
    let mut params = leaf_params("gateway");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = names.to_vec();
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

const SERVER: PathRules<'static> = PathRules::new(Purpose::ServerAuth);

#[test]
fn a_purpose_decides_what_may_be_at_the_end_of_a_path() {
    let root = Toy::root("root");
    let ca = root.ca("ca", 1);
    let device = ca.leaf("edge-001");
    let server = Toy::signed(server_params(&[dns("gateway")]), key(7), Some(&ca));
    let mut cannot_sign = ca_params("cannot sign");
    cannot_sign.key_usages = vec![KeyUsagePurpose::CrlSign];
    let cannot_sign = Toy::signed(cannot_sign, key(2), Some(&root));
    let by_purpose = |presented: &[&Toy]| {
        [
            Purpose::ClientAuth,
            Purpose::ServerAuth,
            Purpose::Issue,
            Purpose::Any,
        ]
        .map(|purpose| rule(&PathRules::new(purpose), presented, &root))
    };
    let no_ca = "issuer_not_ca";
    assert_eq!(
        by_purpose(&[&device, &ca]),
        ["ok", "usage_wrong", no_ca, "ok"]
    );
    assert_eq!(
        by_purpose(&[&server, &ca]),
        ["usage_wrong", "ok", no_ca, "ok"]
    );
    assert_eq!(by_purpose(&[&ca]), ["leaf_is_ca", "leaf_is_ca", "ok", "ok"]);
    assert_eq!(
        by_purpose(&[&cannot_sign]),
        ["leaf_is_ca", "leaf_is_ca", "usage_wrong", "ok"]
    );
    // A trust anchor leads to itself.
    assert_eq!(by_purpose(&[&root])[2..], ["ok", "ok"]);
}

#[test]
fn a_server_has_the_name_under_which_it_is_reached() {
    let root = Toy::root("root");
    let names = [
        dns("gateway.example.com"),
        dns("*.plant.example.com"),
        dns("*.local"),
        dns("w*.example.com"),
        SanType::IpAddress(IpAddr::from([192, 0, 2, 1])),
    ];
    let server = Toy::signed(server_params(&names), key(7), Some(&root));
    for (wanted, expected) in [
        ("gateway.example.com", true),
        ("GATEWAY.example.com", true),
        ("other.example.com", false),
        ("example.com", false),
        ("a.plant.example.com", true),
        ("plant.example.com", false),
        ("a.b.plant.example.com", false),
        ("host.local", false),
        ("west.example.com", false),
        // The common name is not compared.
        ("gateway", false),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
    ] {
        let wanted = ServerName::parse(wanted).unwrap();
        let mut rules = PathRules::new(Purpose::Any);
        rules.server_name = Some(&wanted);
        let expected = if expected {
            "ok"
        } else {
            "server_name_mismatch"
        };
        assert_eq!(rule(&rules, &[&server], &root), expected, "{wanted}");
    }
}

#[test]
fn a_depth_counts_issuers_that_did_not_renew_themselves() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let renewed = Toy::signed(ca_params("middle"), key(2), Some(&middle));
    let low = renewed.ca("low", 3);
    let leaf = low.leaf("edge-001");
    for (max, expected) in [(0, "path_too_deep"), (1, "path_too_deep"), (2, "ok")] {
        let mut rules = PathRules::DEVICE;
        rules.max_issuers = Some(max);
        assert_eq!(
            rule(&rules, &[&leaf, &low, &renewed, &middle], &root),
            expected
        );
    }
}

fn extension(oid: &[u64], critical: bool, value: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

/// A leaf of a server that differs from a good one in one thing.
fn server(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = server_params(&[dns("gateway.example.com")]);
    change(&mut params);
    params
}

#[test]
fn a_server_conforms_in_full_and_a_device_need_not() {
    let root = Toy::root("root");
    let ca = root.ca("ca", 1);
    let cases: [(&str, CertificateParams); 9] = [
        ("ok", server(|_| {})),
        (
            "ok",
            server(|params| params.subject_alt_names.push(dns("under_score"))),
        ),
        (
            "serial_number_invalid",
            server(|params| params.serial_number = Some(SerialNumber::from(0))),
        ),
        (
            "authority_key_id_missing",
            server(|params| params.use_authority_key_identifier_extension = false),
        ),
        (
            "ok",
            server(|params| params.distinguished_name = DistinguishedName::new()),
        ),
        (
            "alt_name_malformed",
            server(|params| params.subject_alt_names.push(dns("-a"))),
        ),
        (
            "alt_name_malformed",
            server(|params| params.subject_alt_names.push(dns("192.0.2.1"))),
        ),
        (
            "extension_unreadable",
            server(|params| {
                let access = [1, 3, 6, 1, 5, 5, 7, 1, 1];
                params.custom_extensions = vec![extension(&access, false, b"\x30\x03\x02")];
            }),
        ),
        (
            "key_id_mismatch",
            server(|params| {
                params.use_authority_key_identifier_extension = false;
                let key_id = b"\x30\x04\x80\x02\x00\x01";
                params.custom_extensions = vec![extension(&[2, 5, 29, 35], false, key_id)];
            }),
        ),
    ];
    for (expected, params) in cases {
        let leaf = Toy::signed(params, key(7), Some(&ca));
        assert_eq!(rule(&SERVER, &[&leaf, &ca], &root), expected);
        let any = PathRules::new(Purpose::Any);
        assert_eq!(rule(&any, &[&leaf, &ca], &root), "ok", "{expected}");
    }
}

#[test]
fn issuers_of_a_server_conform_too() {
    let root = Toy::root("root");
    let permitted = |name: &str| NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let with_constraints = |name: &str| {
        let mut params = ca_params("ca");
        params.name_constraints = Some(permitted(name));
        params
    };
    let mut other_key_id = ca_params("ca");
    other_key_id.key_identifier_method = KeyIdMethod::PreSpecified(vec![1, 2, 3]);
    let cases = [
        ("ok", with_constraints("example.com")),
        (
            "name_constraints_malformed",
            with_constraints("*.example.com"),
        ),
        ("ok", other_key_id),
    ];
    for (expected, params) in cases {
        let ca = Toy::signed(params, key(1), Some(&root));
        let leaf = Toy::signed(server(|_| {}), key(7), Some(&ca));
        // What is malformed permits nothing, whatever the purpose.
        let found = rule(&SERVER, &[&leaf, &ca], &root);
        match expected {
            "ok" => assert_eq!(found, "ok"),
            _ => assert!(
                [expected, "name_constraint_violated"].contains(&found),
                "{found}"
            ),
        }
    }
}

/// Answers the same for every certificate of a common name.
struct Listed(Statuses);

type Statuses = &'static [(&'static str, RevocationStatus)];

impl Revocations for Listed {
    fn status(&self, certificate: &Certificate, _issuer: &Certificate) -> RevocationStatus {
        let name = certificate.subject_common_name().unwrap_or_default();
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or(RevocationStatus::Unknown, |(_, status)| status.clone())
    }
}

const REVOKED: RevocationStatus = RevocationStatus::Revoked {
    since: Timestamp::from_unix_seconds(0),
    reason: Some("keyCompromise"),
};

#[test]
fn whatever_is_revoked_on_the_path_refuses_it_and_the_leaf_must_be_known() {
    const GOOD: RevocationStatus = RevocationStatus::Good;
    let root = Toy::root("root");
    let ca = root.ca("ca", 1);
    let leaf = ca.leaf("edge-001");
    let cases: [(Statuses, &str, &str); 5] = [
        (&[], "ok", "crl_missing"),
        (&[("edge-001", GOOD)], "ok", "ok"),
        (
            &[("edge-001", REVOKED)],
            "certificate_revoked",
            "certificate_revoked",
        ),
        (
            &[("edge-001", GOOD), ("ca", REVOKED)],
            "certificate_revoked",
            "certificate_revoked",
        ),
        // The anchor is trusted by the one who named it.
        (&[("edge-001", GOOD), ("root", REVOKED)], "ok", "ok"),
    ];
    for (listed, where_known, of_leaf) in cases {
        let listed = Listed(listed);
        let mut rules = PathRules::DEVICE;
        rules.revocation = RevocationCheck::WhereKnown(&listed);
        assert_eq!(rule(&rules, &[&leaf, &ca], &root), where_known);
        rules.revocation = RevocationCheck::OfLeaf(&listed);
        assert_eq!(rule(&rules, &[&leaf, &ca], &root), of_leaf);
    }
}

#[test]
fn among_several_anchors_the_fault_that_says_most_is_reported() {
    let (root, stranger) = (Toy::root("root"), Toy::root("stranger"));
    let leaf = root.leaf("edge-001");
    let presented = chain(&[&leaf]);
    let verify = |anchors: &[&Toy], now| {
        let anchors: Vec<_> = anchors.iter().map(|toy| toy.certificate.clone()).collect();
        verify_path_to_any(&PathRules::DEVICE, &presented, &anchors, now)
    };
    let code = |fault: ChainError| fault.code();
    assert!(verify(&[&stranger, &root], NOW).is_ok());
    assert_eq!(
        verify(&[&stranger], NOW).map_err(code).unwrap_err(),
        "issuer_missing"
    );
    assert_eq!(
        verify(&[], NOW).map_err(code).unwrap_err(),
        "trust_anchor_missing"
    );
    let late = days(100);
    for anchors in [[&stranger, &root], [&root, &stranger]] {
        assert_eq!(
            verify(&anchors, late).map_err(code).unwrap_err(),
            "certificate_expired"
        );
    }
}
