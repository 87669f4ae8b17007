//! Certificate policies, as RFC 5280 follows them.

use pki::usable_ca_certificate;
use rcgen::CustomExtension;

use crate::der::{der, extension, oid, with};
use crate::toy::{NOW, Toy, ca_params, code, key, leaf_params, verify};

pub(crate) const POLICY_A: &[u8] = &[0x2a, 3];
const POLICY_B: &[u8] = &[0x2a, 4];
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0];

pub(crate) fn policies(named: &[&[u8]], critical: bool) -> CustomExtension {
    let all: Vec<u8> = named.iter().flat_map(|one| der(0x30, &oid(one))).collect();
    extension(&[2, 5, 29, 32], der(0x30, &all), critical)
}

fn policy_constraints(explicit: Option<u8>, mapping: Option<u8>) -> CustomExtension {
    let explicit = explicit.map(|skip| der(0x80, &[skip])).unwrap_or_default();
    let mapping = mapping.map(|skip| der(0x81, &[skip])).unwrap_or_default();
    extension(
        &[2, 5, 29, 36],
        der(0x30, &[explicit, mapping].concat()),
        true,
    )
}

fn inhibit_any(skip: u8) -> CustomExtension {
    extension(&[2, 5, 29, 54], der(2, &[skip]), true)
}

fn mappings(pairs: &[(&[u8], &[u8])]) -> CustomExtension {
    let pairs: Vec<u8> = pairs
        .iter()
        .flat_map(|(a, b)| der(0x30, &[oid(a), oid(b)].concat()))
        .collect();
    extension(&[2, 5, 29, 33], der(0x30, &pairs), true)
}

/// Extensions about policies, in short: A, B and `*` (any) are policies, `a` the first one without
/// being critical; E0 wants a policy at once, E1 after one certificate, and E0M0 forbids mappings
/// beside; I0 is inhibitAnyPolicy; M maps A to B, Z any to B.
fn in_short(text: &str) -> Vec<CustomExtension> {
    let one = |word: &str| match word {
        "A" => policies(&[POLICY_A], true),
        "a" => policies(&[POLICY_A], false),
        "B" => policies(&[POLICY_B], true),
        "AB" => policies(&[POLICY_A, POLICY_B], true),
        "*" => policies(&[ANY], true),
        "E0" => policy_constraints(Some(0), None),
        "E1" => policy_constraints(Some(1), None),
        "E3" => policy_constraints(Some(3), None),
        "E0M0" => policy_constraints(Some(0), Some(0)),
        "I0" => inhibit_any(0),
        "I1" => inhibit_any(1),
        "M" => mappings(&[(POLICY_A, POLICY_B)]),
        "Z" => mappings(&[(ANY, POLICY_B)]),
        other => panic!("{other}"),
    };
    text.split_whitespace().map(one).collect()
}

/// What comes of it, and what a CA, the one below it and the leaf say.
const POLICIES: &[(&str, [&str; 3])] = &[
    // Nobody asks: whatever they say, critical or not.
    ("ok", ["A", "B", ""]),
    ("ok", ["I0", "", ""]),
    ("ok", ["A M", "B", "B"]),
    ("ok", ["", "", "a"]),
    // There must be one.
    ("ok", ["A E0", "A", "A"]),
    ("ok", ["* E0", "*", "B"]),
    ("ok", ["AB E0", "A", "*"]),
    ("policy_missing", ["A E0", "B", "B"]),
    ("policy_missing", ["A E0", "A", "B"]),
    ("policy_missing", ["A E0", "A", ""]),
    ("policy_missing", ["E0", "A", "A"]),
    // Later: two below it are still free.
    ("ok", ["A E3", "", ""]),
    ("policy_missing", ["A E1", "A", ""]),
    // `anyPolicy` no longer stands for a policy from there on.
    ("policy_missing", ["A E0 I0", "*", "A"]),
    ("policy_missing", ["* E0 I1", "*", "*"]),
    ("ok", ["* E0 I1", "*", "A"]),
    // A is called B below.
    ("ok", ["A E0 M", "B", "B"]),
    ("policy_missing", ["A E0 M", "A", "A"]),
    ("ok", ["* E0 M", "B", "B"]),
    ("policy_missing", ["A E0M0", "A M", "B"]),
    ("certificate_not_understood", ["A Z", "", ""]),
    // The leaf itself may ask.
    ("policy_missing", ["A", "B", "A E0"]),
];

/// policies are followed as RFC 5280 asks, from any policy.
#[test]
fn policies_matter_where_an_issuer_wants_one() {
    let root = Toy::root("root");
    for (expected, said) in POLICIES {
        let [ca, below, leaf] = said.map(in_short);
        let ca = Toy::signed(with(ca_params("ca"), ca), key(1), Some(&root));
        let below = Toy::signed(with(ca_params("below"), below), key(2), Some(&ca));
        let leaf = Toy::signed(with(leaf_params("edge-001"), leaf), key(7), Some(&below));
        let found = code(verify(&[&leaf, &below, &ca], &root));
        assert_eq!(found, *expected, "{said:?}");
    }
    // An anchor's own word limits what is below it.
    let strict = Toy::signed(with(ca_params("strict"), in_short("A E0")), key(3), None);
    usable_ca_certificate(&strict.certificate, NOW).unwrap();
    for (named, expected) in [("A", "ok"), ("B", "policy_missing"), ("", "policy_missing")] {
        let leaf = with(leaf_params("edge-001"), in_short(named));
        let leaf = Toy::signed(leaf, key(7), Some(&strict));
        assert_eq!(code(verify(&[&leaf], &strict)), expected);
    }
}
