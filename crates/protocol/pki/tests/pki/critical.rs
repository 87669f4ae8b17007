//! Critical extensions that are not understood.

use pki::{pin_leaf, usable_ca_certificate};

use crate::der::{der, extension, with};
use crate::policies::{POLICY_A, policies};
use crate::toy::{NOW, Toy, ca_params, chain, code, key, leaf_params, verify};

/// P2: a pinned leaf is accepted as a whole. Every extension of a path must be understood; the
/// error names one that is not.
#[test]
fn a_critical_extension_that_is_not_understood_is_named() {
    let root = Toy::root("root");
    let dice = || extension(&[2, 23, 133, 5, 4, 1], der(0x30, &[]), true);
    let private = || extension(&[1, 3, 6, 1, 4, 1, 99999, 1], der(5, &[]), true);
    for (unknown, named) in [
        (dice(), "2.23.133.5.4.1 (DICE TcbInfo)"),
        (private(), "1.3.6.1.4.1.99999.1"),
    ] {
        let leaf = Toy::signed(
            with(leaf_params("edge-001"), vec![unknown.clone()]),
            key(7),
            Some(&root),
        );
        pin_leaf(&chain(&[&leaf]), leaf.certificate.sha256(), NOW).unwrap();
        let refused = verify(&[&leaf], &root).unwrap_err();
        assert_eq!(refused.code(), "certificate_not_understood");
        assert!(refused.to_string().contains(named), "{refused}");
        // Wherever on the path it is.
        let ca = Toy::signed(
            with(ca_params("ca"), vec![unknown.clone()]),
            key(1),
            Some(&root),
        );
        let below = ca.leaf("edge-002");
        let refused = verify(&[&below, &ca], &root).unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
        let refused = verify(&[&below], &ca).unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
        let refused = usable_ca_certificate(&ca.certificate, NOW).unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
    }
    let leaf = Toy::signed(
        with(leaf_params("edge-001"), vec![policies(&[POLICY_A], true)]),
        key(7),
        Some(&root),
    );
    assert_eq!(code(verify(&[&leaf], &root)), "ok");
}

#[test]
fn the_usage_in_netscapes_extension_is_checked() {
    let root = Toy::root("root");
    // A BIT STRING: 0x80 is a client, 0x40 a server, 0x04 a CA.
    let netscape = |bits: u8| extension(&[2, 16, 840, 1, 113_730, 1, 1], der(3, &[0, bits]), true);
    for (bits, expected) in [(0x80, "ok"), (0xa0, "ok"), (0x40, "usage_wrong")] {
        let leaf = Toy::signed(
            with(leaf_params("edge-001"), vec![netscape(bits)]),
            key(7),
            Some(&root),
        );
        assert_eq!(code(verify(&[&leaf], &root)), expected, "{bits:#x}");
    }
    for (bits, expected) in [(0x04, "ok"), (0x80, "usage_wrong")] {
        let ca = Toy::signed(
            with(ca_params("ca"), vec![netscape(bits)]),
            key(1),
            Some(&root),
        );
        assert_eq!(
            code(verify(&[&ca.leaf("edge-001"), &ca], &root)),
            expected,
            "{bits:#x}"
        );
    }
}
