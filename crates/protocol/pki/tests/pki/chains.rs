//! What a presented chain proves, and what the refusal says when it proves nothing.

use ids::Timestamp;
use pki::{
    Certificate, ChainError, IssuerCache, PresentedChain, SeenIssuers, pin_leaf, verify_chain,
};
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType,
};

use crate::toy::{NOW, Toy, ca_params, chain, days, key, leaf_params};

fn verify(
    presented: &PresentedChain,
    trust_anchor: &Toy,
) -> Result<pki::VerifiedChain, ChainError> {
    verify_chain(
        presented,
        &trust_anchor.certificate,
        NOW,
        &IssuerCache::default(),
    )
}

fn code(presented: &PresentedChain, trust_anchor: &Toy) -> &'static str {
    verify(presented, trust_anchor).unwrap_err().code()
}

#[test]
fn root_or_intermediate_can_be_the_anchor() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let low = middle.ca("low", 2);
    let leaf = low.leaf("edge-001");
    let whole = chain(&[&leaf, &low, &middle, &root]);
    for trust_anchor in [&root, &middle, &low] {
        let verified = verify(&whole, trust_anchor).unwrap();
        assert_eq!(verified.leaf().subject_common_name(), Some("edge-001"));
        assert_eq!(verified.trust_anchor(), trust_anchor.certificate.sha256());
    }
    let issuers: Vec<String> = verify(&whole, &root)
        .unwrap()
        .issuers()
        .iter()
        .map(Certificate::subject)
        .collect();
    assert_eq!(issuers, ["CN=low", "CN=middle"]);
    // The anchor need not be shown, and the order of issuers does not matter.
    assert!(verify(&chain(&[&leaf, &middle, &low]), &root).is_ok());
    assert!(verify(&chain(&[&leaf]), &low).is_ok());
}

#[test]
fn a_gap_names_the_issuer_that_is_missing() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let low = middle.ca("low", 2);
    let leaf = low.leaf("edge-001");
    let fault = verify(&chain(&[&leaf, &low]), &root).unwrap_err();
    assert_eq!(
        fault,
        ChainError::MissingIssuer {
            subject: "CN=low".to_owned(),
            issuer_wanted: "CN=middle".to_owned()
        }
    );
    let fault = verify(&chain(&[&leaf]), &root).unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("CN=low, which is neither in the chain"),
        "{fault}"
    );
    let stranger = Toy::root("stranger");
    assert_eq!(
        code(&chain(&[&leaf, &low, &middle, &root]), &stranger),
        "issuer_missing"
    );
}

#[test]
fn dates_of_every_element_count_the_anchor_included() {
    let expired = |name| {
        let mut params = ca_params(name);
        params.not_after = days(-1).to_offset_date_time();
        params
    };
    let root = Toy::root("root");
    let old_middle = Toy::signed(expired("middle"), key(1), Some(&root));
    let leaf = old_middle.leaf("edge-001");
    let fault = verify(&chain(&[&leaf, &old_middle]), &root).unwrap_err();
    let wanted = ChainError::Expired {
        subject: "CN=middle".to_owned(),
        not_after: days(-1),
    };
    assert_eq!(fault, wanted);
    assert!(fault.to_string().contains("2025-12-31T00:00:00"), "{fault}");
    // As anchor too, and a root likewise.
    assert_eq!(code(&chain(&[&leaf]), &old_middle), "certificate_expired");
    let old_root = Toy::signed(expired("old root"), key(0), None);
    assert_eq!(
        code(&chain(&[&old_root.leaf("edge-001")]), &old_root),
        "certificate_expired"
    );

    let mut early = leaf_params("edge-002");
    early.not_before = days(1).to_offset_date_time();
    let early = Toy::signed(early, key(7), Some(&root));
    let fault = verify(&chain(&[&early]), &root).unwrap_err();
    let wanted = ChainError::NotYetValid {
        subject: "CN=edge-002".to_owned(),
        not_before: days(1),
    };
    assert_eq!(fault, wanted);
}

#[test]
fn the_last_second_is_valid_and_the_next_is_not() {
    let root = Toy::root("root");
    let leaf = root.leaf("edge-001");
    let presented = chain(&[&leaf]);
    let cache = IssuerCache::default();
    let at = |time| verify_chain(&presented, &root.certificate, time, &cache);
    let last = days(10).unix_seconds();
    assert!(at(Timestamp::from_ticks(last * 10_000_000 + 9_999_999)).is_ok());
    assert!(at(Timestamp::from_unix_seconds(last + 1)).is_err());
    assert!(at(days(-10)).is_ok());
    assert!(at(Timestamp::from_unix_seconds(days(-10).unix_seconds() - 1)).is_err());
}

#[test]
fn a_ca_is_no_identity() {
    let root = Toy::root("root");
    let middle = root.ca("edge-001", 1);
    let presented = chain(&[&middle]);
    let wanted = ChainError::LeafIsCa {
        subject: "CN=edge-001".to_owned(),
    };
    assert_eq!(verify(&presented, &root).unwrap_err(), wanted);
    let pinned = pin_leaf(&presented, middle.certificate.sha256(), NOW);
    assert_eq!(pinned.unwrap_err(), wanted);
}

#[test]
fn an_issuer_must_be_a_ca_and_allowed_to_sign() {
    let root = Toy::root("root");
    let no_ca = root.leaf("not a ca");
    let leaf = no_ca.leaf("edge-001");
    assert_eq!(code(&chain(&[&leaf, &no_ca]), &root), "issuer_not_ca");
    assert_eq!(code(&chain(&[&leaf]), &no_ca), "issuer_not_ca");

    let mut params = ca_params("only crl");
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let only_crl = Toy::signed(params, key(1), Some(&root));
    assert_eq!(
        code(&chain(&[&only_crl.leaf("edge-001"), &only_crl]), &root),
        "usage_wrong"
    );
}

#[test]
fn purposes_restrict_when_they_are_there() {
    let root = Toy::root("root");
    let with = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        let mut params = leaf_params("edge-001");
        params.extended_key_usages = purposes;
        chain(&[&Toy::signed(params, key(7), Some(&root))])
    };
    assert!(verify(&with(vec![]), &root).is_ok());
    assert!(verify(&with(vec![ExtendedKeyUsagePurpose::Any]), &root).is_ok());
    let both = vec![
        ExtendedKeyUsagePurpose::EmailProtection,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    assert!(verify(&with(both), &root).is_ok());
    let server = with(vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(code(&server, &root), "usage_wrong");
    let pinned = pin_leaf(&server, server.leaf().sha256(), NOW);
    assert_eq!(pinned.unwrap_err().code(), "usage_wrong");
}

#[test]
fn path_lengths_hold_for_intermediates_and_anchors() {
    let limited = |name, index, length, by: Option<&Toy>| {
        let mut params = ca_params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        Toy::signed(params, key(index), by)
    };
    let root = Toy::root("root");
    let zero = limited("zero", 1, 0, Some(&root));
    assert!(verify(&chain(&[&zero.leaf("edge-001"), &zero]), &root).is_ok());
    let below = zero.ca("below", 2);
    let fault = verify(&chain(&[&below.leaf("edge-001"), &below, &zero]), &root).unwrap_err();
    let wanted = ChainError::PathLength {
        subject: "CN=zero".to_owned(),
        allowed: 0,
        found: 1,
    };
    assert_eq!(fault, wanted);
    assert_eq!(
        code(&chain(&[&below.leaf("edge-001"), &below]), &zero),
        "path_length_exceeded"
    );
    let root_one = limited("root one", 0, 1, None);
    let one = root_one.ca("one", 1);
    assert!(verify(&chain(&[&one.leaf("edge-001"), &one]), &root_one).is_ok());
}

#[test]
fn another_ca_of_the_same_name_is_a_bad_signature() {
    let root = Toy::root("root");
    let impostor = Toy::signed(ca_params("root"), key(3), None);
    let leaf = impostor.leaf("edge-001");
    let fault = verify(&chain(&[&leaf]), &root).unwrap_err();
    assert_eq!(fault.code(), "signature_bad");
    assert!(
        fault.to_string().contains("another CA of the same name"),
        "{fault}"
    );
}

#[test]
fn an_altered_leaf_is_a_bad_signature() {
    let root = Toy::root("root");
    let leaf = root.leaf("edge-001");
    let mut der = leaf.certificate.der().to_vec();
    let at = der.windows(8).position(|w| w == b"edge-001").unwrap();
    der[at + 7] = b'2';
    let presented = read(&[der]).unwrap();
    assert_eq!(presented.leaf().subject_common_name(), Some("edge-002"));
    assert_eq!(code(&presented, &root), "signature_bad");
}

#[test]
fn cross_signed_issuers_are_all_tried() {
    let (old_root, new_root) = (
        Toy::root("old root"),
        Toy::signed(ca_params("new root"), key(1), None),
    );
    let by_old = Toy::signed(ca_params("shared"), key(2), Some(&old_root));
    let by_new = Toy::signed(ca_params("shared"), key(2), Some(&new_root));
    let leaf = by_old.leaf("edge-001");
    let presented = chain(&[&leaf, &by_old, &by_new]);
    assert!(verify(&presented, &old_root).is_ok());
    assert!(verify(&presented, &new_root).is_ok());
}

#[test]
fn ten_certificates_verify_and_eleven_are_refused() {
    let root = Toy::root("ca-0");
    let mut all = vec![root];
    for index in 1..9 {
        let next = all[index - 1].ca(&format!("ca-{index}"), index % 6 + 1);
        all.push(next);
    }
    let leaf = all[8].leaf("edge-001");
    let mut ten: Vec<&Toy> = vec![&leaf];
    ten.extend(all.iter().rev());
    let presented = chain(&ten);
    let cache = IssuerCache::default();
    for _ in 0..2 {
        let verified = verify_chain(&presented, &all[0].certificate, NOW, &cache).unwrap();
        assert_eq!(verified.issuers().len(), 8);
    }
    let eleven: Vec<Vec<u8>> = ten
        .iter()
        .chain([&&all[0]])
        .map(|t| t.certificate.der().to_vec())
        .collect();
    let fault = read(&eleven).unwrap_err();
    assert_eq!(fault, ChainError::TooLong { count: 11 });
}

fn read(ders: &[Vec<u8>]) -> Result<PresentedChain, ChainError> {
    PresentedChain::new(ders, &SeenIssuers::default())
}

#[test]
fn an_issuer_that_was_seen_is_the_same_and_is_trusted_no_more_than_before() {
    let (root, stranger) = (Toy::root("root"), Toy::root("stranger"));
    let presented = |issuer: &Toy| {
        let leaf = issuer.leaf("edge-001").certificate;
        vec![leaf.der().to_vec(), issuer.certificate.der().to_vec()]
    };
    // Room for one: the second pushes the first out.
    for seen in [
        SeenIssuers::new(1),
        SeenIssuers::new(0),
        SeenIssuers::default(),
    ] {
        for issuer in [&root, &stranger, &root, &stranger] {
            let chain = PresentedChain::new(&presented(issuer), &seen).unwrap();
            assert_eq!(chain.issuers(), std::slice::from_ref(&issuer.certificate));
            let trusted = verify_chain(&chain, &root.certificate, NOW, &IssuerCache::default());
            assert_eq!(trusted.is_ok(), std::ptr::eq(issuer, &root));
        }
    }
}

#[test]
fn sizes_and_garbage_are_refused() {
    assert_eq!(read(&[]).unwrap_err(), ChainError::Empty);
    let large = read(&[vec![0; 65_537]]).unwrap_err();
    assert_eq!(large, ChainError::TooLarge { bytes: 65_537 });
    let leaf = Toy::root("root")
        .leaf("edge-001")
        .certificate
        .der()
        .to_vec();
    let garbage = read(&[leaf.clone(), vec![1, 2, 3]]).unwrap_err();
    assert!(matches!(
        garbage,
        ChainError::Unparsable { position: 2, .. }
    ));
    let trailing = read(&[[leaf, vec![0]].concat()]).unwrap_err();
    assert!(matches!(
        trailing,
        ChainError::Unparsable { position: 1, .. }
    ));
}

#[test]
fn many_authorities_of_one_name_end_quickly() {
    let root = Toy::root("same");
    let mut all: Vec<Toy> = (1..9).map(|index| root.ca("same", index % 7)).collect();
    all[0] = Toy::signed(ca_params("same"), key(1), Some(&all[1]));
    let stranger = Toy::signed(ca_params("other"), key(5), None);
    let leaf = all[0].leaf("edge-001");
    let mut presented: Vec<&Toy> = vec![&leaf];
    presented.extend(&all);
    assert_eq!(code(&chain(&presented), &stranger), "issuer_missing");
}

#[test]
fn unknown_critical_extensions_are_not_ignored() {
    let root = Toy::root("root");
    let mut params = leaf_params("edge-001");
    let mut unknown =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55738, 666], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions = vec![unknown];
    let leaf = Toy::signed(params, key(7), Some(&root));
    assert_eq!(code(&chain(&[&leaf]), &root), "certificate_not_understood");
}

#[test]
fn name_constraints_hold_with_and_without_cache() {
    let root = Toy::root("root");
    let mut params = ca_params("factory");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("factory.example".to_owned())],
        excluded_subtrees: vec![],
    });
    let factory = Toy::signed(params, key(1), Some(&root));
    let line = factory.ca("line", 2);
    let named = |name: &str| {
        let mut params = leaf_params("edge-001");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        Toy::signed(params, key(7), Some(&line))
    };
    let (inside, outside) = (named("a.factory.example"), named("a.office.example"));
    let cache = IssuerCache::default();
    for _ in 0..2 {
        let good = chain(&[&inside, &line, &factory]);
        assert!(verify_chain(&good, &root.certificate, NOW, &cache).is_ok());
        let bad = chain(&[&outside, &line, &factory]);
        let fault = verify_chain(&bad, &root.certificate, NOW, &cache).unwrap_err();
        assert_eq!(fault.code(), "name_constraint_violated");
    }
}

#[test]
fn a_self_signed_leaf_can_be_pinned_and_nothing_else() {
    let leaf = Toy::signed(leaf_params("edge-001"), key(7), None);
    let other = Toy::signed(leaf_params("edge-001"), key(6), None);
    let presented = chain(&[&leaf]);
    let pinned = pin_leaf(&presented, leaf.certificate.sha256(), NOW).unwrap();
    assert_eq!(pinned.leaf(), &leaf.certificate);
    let fault = pin_leaf(&presented, other.certificate.sha256(), NOW).unwrap_err();
    assert_eq!(fault.code(), "leaf_not_pinned");
    let late = pin_leaf(&presented, leaf.certificate.sha256(), days(11)).unwrap_err();
    assert_eq!(late.code(), "certificate_expired");
    assert_eq!(code(&presented, &Toy::root("root")), "issuer_missing");
}
