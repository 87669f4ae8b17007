use ca::{CaDirectory, CrlOptions, IdentityOptions, InitOptions, RevocationChange, Signer};
use pki::{Certificate, RevocationReason};

use crate::tools::{NOW, days, error_text, issue, openssl, path};

const HOLD: RevocationChange = RevocationChange::Revoke(RevocationReason::CertificateHold);

fn list(dir: &std::path::Path, signer: Signer) -> ca::WrittenCrl {
    let options = CrlOptions {
        signer,
        days: 30,
        passphrase: None,
    };
    CaDirectory::write_crl(dir, &options, days(1))
        .unwrap()
        .remove(0)
}

/// What OpenSSL says about a leaf with the list of the intermediate.
fn verify(
    ca: &CaDirectory,
    leaf: &std::path::Path,
    crl: &std::path::Path,
) -> Result<String, String> {
    let at = days(2).unix_seconds().to_string();
    let intermediate = ca.intermediate_paths().certificate;
    openssl(&[
        "verify",
        "-x509_strict",
        "-partial_chain",
        "-crl_check",
        "-attime",
        &at,
        "-CRLfile",
        path(crl),
        "-trusted",
        path(&intermediate),
        path(leaf),
    ])
}

#[test]
fn openssl_refuses_what_is_revoked_or_held_and_accepts_what_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let options = IdentityOptions::default();
    let [good, held, bad] = ["good", "held", "bad"].map(|name| {
        let identity = issue(&ca, name, &options, NOW).unwrap();
        (identity.certificate, identity.paths.certificate)
    });
    let change = |certificate: &Certificate, change| {
        CaDirectory::revoke(dir.path(), certificate, change, NOW).unwrap()
    };
    let compromised = RevocationChange::Revoke(RevocationReason::KeyCompromise);
    assert!(!change(&bad.0, compromised).was_before);
    assert!(change(&bad.0, compromised).was_before);
    change(&held.0, HOLD);

    let first = list(dir.path(), Signer::Intermediate);
    assert_eq!((first.number, first.entries), (1, 2));
    assert!(
        first
            .path
            .ends_with("crl/azure-iot-test-only.intermediate.crl.pem")
    );
    let printed = openssl(&["crl", "-noout", "-text", "-in", path(&first.path)]).unwrap();
    for wanted in [
        "Key Compromise",
        "Certificate Hold",
        "X509v3 CRL Number: \n                1",
    ] {
        assert!(printed.contains(wanted), "{wanted} is not in\n{printed}");
    }
    verify(&ca, &good.1, &first.path).unwrap();
    for refused in [&held, &bad] {
        let answer = verify(&ca, &refused.1, &first.path).unwrap_err();
        assert!(answer.contains("certificate revoked"), "{answer}");
    }

    let restored = change(&held.0, RevocationChange::Restore);
    assert_eq!(restored.revoked, None);
    let second = list(dir.path(), Signer::Intermediate);
    assert_eq!((second.number, second.entries), (2, 1));
    verify(&ca, &held.1, &second.path).unwrap();
    verify(&ca, &bad.1, &second.path).unwrap_err();
}

#[test]
fn only_a_hold_ends_and_a_reason_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let leaf = issue(&ca, "edge-1", &IdentityOptions::default(), NOW)
        .unwrap()
        .certificate;
    let refused =
        |change| error_text(&CaDirectory::revoke(dir.path(), &leaf, change, days(9)).unwrap_err());
    assert!(refused(RevocationChange::Restore).contains("is not on hold"));
    CaDirectory::revoke(dir.path(), &leaf, HOLD, NOW).unwrap();
    let superseded = RevocationChange::Revoke(RevocationReason::Superseded);
    let state = CaDirectory::revoke(dir.path(), &leaf, superseded, days(9)).unwrap();
    let since = state.revoked.unwrap();
    assert_eq!(
        (since.when, since.reason),
        (NOW, RevocationReason::Superseded)
    );
    assert!(refused(RevocationChange::Restore).contains("only a hold can be ended"));
    assert!(refused(HOLD).contains("revoked already, since 2026-01-01T00:00:00Z"));
}

#[test]
fn the_root_has_a_list_of_its_own_and_strangers_are_not_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let ca = CaDirectory::init(dir.path(), &InitOptions::default(), NOW).unwrap();
    let revoke = RevocationChange::Revoke(RevocationReason::CaCompromise);
    CaDirectory::revoke(dir.path(), ca.intermediate(), revoke, NOW).unwrap();
    assert_eq!(list(dir.path(), Signer::Intermediate).entries, 0);
    let of_root = list(dir.path(), Signer::Root);
    assert!(
        of_root
            .path
            .ends_with("crl/azure-iot-test-only.root.ca.crl.pem")
    );
    assert_eq!(of_root.entries, 1);
    let root = path(&ca.root_paths().certificate).to_owned();
    let file = path(&of_root.path).to_owned();
    openssl(&["crl", "-noout", "-in", &file, "-CAfile", &root]).unwrap();

    let other = tempfile::tempdir().unwrap();
    let other = CaDirectory::init(other.path(), &InitOptions::default(), NOW).unwrap();
    let stranger = CaDirectory::revoke(dir.path(), other.intermediate(), revoke, NOW);
    let stranger = error_text(&stranger.unwrap_err());
    assert!(
        stranger.contains("was not issued by a certificate authority of"),
        "{stranger}"
    );
}
