//! Paths and the revocation lists that go with them, made by OpenSSL and by us.

use ids::Timestamp;
use pki::{GivenCrls, PathRules, Purpose, RevocationCheck, verify_path_to_any};

use crate::toy::{NOW, Toy, ca_params, chain, days, key};

/// A list of a toy CA with the given serial numbers.
fn list(ca: &Toy, serials: &[u64], next: Timestamp) -> Vec<u8> {
    let revoked = |serial: &u64| rcgen::RevokedCertParams {
        serial_number: rcgen::SerialNumber::from(*serial),
        revocation_time: days(-1).to_offset_date_time(),
        reason_code: Some(rcgen::RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: days(-2).to_offset_date_time(),
        next_update: next.to_offset_date_time(),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&ca.issuer()).unwrap().der().to_vec()
}

fn rule(presented: &[&Toy], trust_anchor: &Toy, lists: &[Vec<u8>]) -> &'static str {
    let mut crls = GivenCrls::new(NOW);
    for list in lists {
        crls.add(list.clone()).unwrap();
    }
    let mut rules = PathRules::new(Purpose::Any);
    rules.revocation = RevocationCheck::OfLeaf(&crls);
    let anchors = [trust_anchor.certificate.clone()];
    verify_path_to_any(&rules, &chain(presented), &anchors, NOW)
        .map_or_else(|fault| fault.code(), |_| "ok")
}

#[test]
fn a_list_decides_about_the_certificates_of_its_issuer_alone() {
    let root = Toy::root("root");
    let ca = root.ca("ca", 1);
    let leaf = ca.leaf("edge-001");
    let later = days(5);
    let path = [&leaf, &ca];
    // Every toy has the serial number 7.
    for (lists, expected) in [
        (vec![list(&ca, &[], later)], "ok"),
        (vec![list(&ca, &[7], later)], "certificate_revoked"),
        (vec![list(&ca, &[8, 70], later)], "ok"),
        (
            vec![list(&ca, &[], later), list(&root, &[7], later)],
            "certificate_revoked",
        ),
        (vec![list(&ca, &[], later), list(&root, &[], later)], "ok"),
        (vec![list(&root, &[], later)], "crl_missing"),
        (vec![list(&ca, &[], days(-1))], "crl_unusable"),
        // The list of yesterday does no harm beside the one of today.
        (vec![list(&ca, &[], days(-1)), list(&ca, &[], later)], "ok"),
    ] {
        assert_eq!(
            rule(&path, &root, &lists),
            expected,
            "{} lists",
            lists.len()
        );
    }
}

#[test]
fn a_list_that_was_altered_refuses_the_path_wherever_it_was_altered() {
    let root = Toy::root("root");
    let ca = root.ca("ca", 1);
    let leaf = ca.leaf("edge-001");
    let good = list(&ca, &[8], days(5));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let mut crls = GivenCrls::new(NOW);
        if crls.add(bad.clone()).is_ok() {
            let found = rule(&[&leaf, &ca], &root, &[bad]);
            assert!(
                ["crl_unusable", "crl_missing"].contains(&found),
                "byte {at}: {found}"
            );
        }
    }
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(rule(&[&leaf, &ca], &root, &[good, forged]), "crl_unusable");
}

#[test]
fn a_list_of_the_key_before_the_roll_is_of_another_ca() {
    let root = Toy::root("root");
    let before = root.ca("ca", 1);
    let after = Toy::signed(ca_params("ca"), key(2), Some(&root));
    let leaf = after.leaf("edge-001");
    let (old, new) = (list(&before, &[7], days(5)), list(&after, &[], days(5)));
    assert_eq!(rule(&[&leaf, &after], &root, &[old.clone(), new]), "ok");
    assert_eq!(rule(&[&leaf, &after], &root, &[old]), "crl_unusable");
}

#[test]
fn a_list_beside_the_path_is_named() {
    let root = Toy::root("root");
    let stranger = Toy::root("stranger");
    let mut crls = GivenCrls::new(NOW);
    crls.add(list(&stranger, &[], days(5))).unwrap();
    assert_eq!(
        crls.issuer_beside(&[&root.certificate]),
        Some("CN=stranger")
    );
    assert_eq!(
        crls.issuer_beside(&[&root.certificate, &stranger.certificate]),
        None
    );
}
