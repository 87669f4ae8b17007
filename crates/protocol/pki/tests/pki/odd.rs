//! Certificates that are right and unusual: what RFC 5280 allows and libraries read differently.

use pki::{
    Certificate, ChainError, IssuerCache, KeyType, LeafKey, PresentedChain, PrivateKey,
    SeenIssuers, VerifiedChain, pin_leaf, usable_anchor, verify_to_anchor,
};
use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, GeneralSubtree,
    NameConstraints, SanType, SigningKey,
};

use crate::openssl::{Workshop, while_valid};
use crate::toy::{NOW, Toy, ca_params, chain, days, key, leaf_params};

fn verify(shown: &[&Toy], anchor: &Toy) -> Result<VerifiedChain, ChainError> {
    let shown = chain(shown);
    let cache = IssuerCache::default();
    let first = verify_to_anchor(&shown, &anchor.certificate, NOW, &cache);
    let again = verify_to_anchor(&shown, &anchor.certificate, NOW, &cache);
    assert_eq!(
        first.is_ok(),
        again.is_ok(),
        "the cache says otherwise: {first:?} {again:?}"
    );
    assert_eq!(first.as_ref().err(), again.as_ref().err());
    first
}

fn code(result: Result<VerifiedChain, ChainError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

/// A DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..=0x7f => bytes.push(u8::try_from(length).unwrap()),
        0x80..=0xff => bytes.extend([0x81, u8::try_from(length).unwrap()]),
        _ => bytes.extend([
            0x82,
            u8::try_from(length >> 8).unwrap(),
            u8::try_from(length & 0xff).unwrap(),
        ]),
    }
    bytes.extend(content);
    bytes
}

fn oid(last: &[u8]) -> Vec<u8> {
    der(6, last)
}

fn extension(arcs: &[u64], content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(arcs, content);
    extension.set_criticality(critical);
    extension
}

const POLICY_A: &[u8] = &[0x2a, 3];
const POLICY_B: &[u8] = &[0x2a, 4];
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0];

fn policies(named: &[&[u8]], critical: bool) -> CustomExtension {
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

fn with(mut params: CertificateParams, extensions: Vec<CustomExtension>) -> CertificateParams {
    params.custom_extensions = extensions;
    params
}

/// Extensions about policies, in short: A, B and `*` (any) are policies, `a` the first one without being critical; E0 wants a policy
/// at once, E1 after one certificate, and E0M0 forbids mappings beside; I0 is inhibitAnyPolicy; M maps A to B, Z any to B.
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
    // Any policy is none from there on.
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

/// P5: policies are followed as RFC 5280 asks, from any policy.
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
    usable_anchor(&strict.certificate, NOW).unwrap();
    for (named, expected) in [("A", "ok"), ("B", "policy_missing"), ("", "policy_missing")] {
        let leaf = with(leaf_params("edge-001"), in_short(named));
        let leaf = Toy::signed(leaf, key(7), Some(&strict));
        assert_eq!(code(verify(&[&leaf], &strict)), expected);
    }
}

/// P2: a pinned leaf is known as a whole; a path must be understood, and what is not is named.
#[test]
fn what_is_critical_and_unknown_is_named() {
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
        let refused = usable_anchor(&ca.certificate, NOW).unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
    }
    let leaf = Toy::signed(
        with(leaf_params("edge-001"), vec![policies(&[POLICY_A], true)]),
        key(7),
        Some(&root),
    );
    assert_eq!(code(verify(&[&leaf], &root)), "ok");
    // Netscape's word for what a certificate is for: a BIT STRING, 0x80 is a client, 0x40 a server, 0x04 a CA.
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

/// P3: no handshake proves possession of these, so that nothing else may say that they are fine.
#[test]
fn a_leaf_whose_key_no_handshake_proves_is_refused_by_name() {
    let shop = Workshop::new();
    shop.openssl("req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Root -addext keyUsage=critical,keyCertSign");
    shop.write(
        "leaf.ext",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
    );
    let root = shop.certificate("root.pem");
    for (make, named) in [
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            Some("RSA key of 1024 bits"),
        ),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2047",
            Some("RSA key of 2047 bits"),
        ),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", None),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
            Some("secp256k1"),
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-224",
            Some("P-224"),
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
            Some("brainpoolP256r1"),
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
            None,
        ),
        ("genpkey -algorithm ED448", Some("Ed448")),
        ("genpkey -algorithm ED25519", None),
        (
            "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
            Some("RSA-PSS alone"),
        ),
    ] {
        shop.openssl(&format!("{make} -out leaf.key"));
        shop.openssl("req -new -key leaf.key -subj /CN=edge-001 -out leaf.csr");
        shop.openssl("x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 5 -days 10 -extfile leaf.ext -out leaf.pem");
        let leaf = shop.certificate("leaf.pem");
        let now = while_valid(&leaf);
        let shown = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
        let by_chain = verify_to_anchor(&shown, &root, now, &IssuerCache::default()).map(drop);
        let by_pin = pin_leaf(&shown, leaf.sha256(), now).map(drop);
        let handshake = LeafKey::of(leaf.der()).unwrap();
        assert_eq!(handshake.spki(), leaf.spki_der(), "{make}");
        assert_eq!(handshake.problem().is_some(), named.is_some(), "{make}");
        for result in [by_chain, by_pin] {
            match (named, result) {
                (None, result) => result.unwrap(),
                (Some(named), result) => {
                    let error = result.unwrap_err();
                    assert_eq!(error.code(), "algorithm_unsupported", "{make}");
                    assert!(error.to_string().contains(named), "{error}");
                }
            }
        }
    }
}

/// P4: every string type of RFC 5280's DirectoryString, and IA5String.
#[test]
fn common_names_of_every_string_type_are_read() {
    let name = "pump-001";
    let root = Toy::root("root");
    for value in [
        DnValue::Utf8String(name.to_owned()),
        DnValue::PrintableString(PrintableString::try_from(name).unwrap()),
        DnValue::Ia5String(Ia5String::try_from(name).unwrap()),
        DnValue::TeletexString(TeletexString::try_from(name).unwrap()),
        DnValue::BmpString(BmpString::try_from(name).unwrap()),
        DnValue::UniversalString(UniversalString::try_from(name).unwrap()),
    ] {
        let mut params = leaf_params("");
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, value.clone());
        let leaf = Toy::signed(params, key(7), Some(&root));
        assert_eq!(
            leaf.certificate.subject_common_name(),
            Some(name),
            "{value:?}"
        );
        assert_eq!(leaf.certificate.subject(), "CN=pump-001");
        assert_eq!(code(verify(&[&leaf], &root)), "ok", "{value:?}");
    }
    // What OpenSSL makes of an underscore by this mask is a TeletexString.
    let shop = Workshop::new();
    shop.write(
        "c.cnf",
        "[req]\nstring_mask = nombstr\ndistinguished_name = dn\n[dn]\n",
    );
    shop.openssl("req -x509 -new -config c.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 3 -subj /CN=pump_001");
    assert_eq!(
        shop.certificate("c.pem").subject_common_name(),
        Some("pump_001")
    );
}

/// P7: names are compared as RFC 5280 7.1 says, in any string type, whatever the case of letters and the number of blanks.
#[test]
fn an_issuer_is_found_however_its_name_is_written() {
    let named = |value: DnValue| {
        let mut name = DistinguishedName::new();
        name.push(
            DnType::OrganizationName,
            DnValue::PrintableString(PrintableString::try_from("Contoso").unwrap()),
        );
        name.push(DnType::CommonName, value);
        name
    };
    let printable = |text: &str| DnValue::PrintableString(PrintableString::try_from(text).unwrap());
    let mut params = ca_params("");
    params.distinguished_name = named(printable("Factory CA"));
    let root = Toy::signed(params, key(0), None);
    for (value, expected) in [
        (DnValue::Utf8String("Factory CA".to_owned()), "ok"),
        (
            DnValue::BmpString(BmpString::try_from("Factory CA").unwrap()),
            "ok",
        ),
        (printable("FACTORY ca"), "ok"),
        (printable(" Factory   CA "), "ok"),
        (printable("FactoryCA"), "issuer_missing"),
        (
            DnValue::Utf8String("Factory CB".to_owned()),
            "issuer_missing",
        ),
    ] {
        let called = root.called(named(value.clone()));
        let leaf = called.leaf("edge-001");
        assert_eq!(code(verify(&[&leaf], &root)), expected, "{value:?}");
        // The same above an intermediate.
        let below = called.ca("below", 2);
        assert_eq!(
            code(verify(&[&below.leaf("edge-002"), &below], &root)),
            expected,
            "{value:?}"
        );
    }
}

fn directory(organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name
}

/// `dir:Contoso`, `dns:example.org`, `mail:example.org`.
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

/// What comes of what a CA permits and excludes, the organization of a leaf and its alternative name.
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

/// P6: directory names are evaluated, and the other kinds as before.
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

/// P9: what the TLS library verifies is accepted; otherwise the message names what is wrong.
#[test]
fn rsa_signatures_in_unusual_forms() {
    let shop = Workshop::new();
    shop.openssl("req -x509 -new -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Root -addext keyUsage=critical,keyCertSign");
    shop.openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=edge-001");
    shop.write(
        "leaf.ext",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
    );
    let root = shop.certificate("root.pem");
    let sign = "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 5 -days 10 -extfile leaf.ext -out leaf.pem";
    for (options, expected) in [
        (
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
            None,
        ),
        (
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
            Some("salt of 222 bytes"),
        ),
        ("-sha1", Some("RSA and SHA-1")),
    ] {
        shop.openssl(&format!("{sign} {options}"));
        let leaf = shop.certificate("leaf.pem");
        let shown = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
        let verified = verify_to_anchor(&shown, &root, while_valid(&leaf), &IssuerCache::default());
        match expected {
            None => drop(verified.unwrap()),
            Some(named) => {
                let error = verified.unwrap_err();
                assert_eq!(error.code(), "algorithm_unsupported", "{error}");
                assert!(error.to_string().contains(named), "{error}");
            }
        }
    }
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let root = Toy::signed(ca_params("root"), rsa.clone(), None);
    let leaf = without_null(&root.leaf("edge-001").certificate, &rsa);
    let shown = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
    verify_to_anchor(&shown, &root.certificate, NOW, &IssuerCache::default()).unwrap();
    assert!(leaf.is_signed_by(&root.certificate));
}

/// The same certificate with sha256WithRSAEncryption without its NULL, signed anew.
fn without_null(certificate: &Certificate, key: &PrivateKey) -> Certificate {
    const SHA256_WITH_RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];
    let with = der(0x30, &[SHA256_WITH_RSA, &[5, 0]].concat());
    let without = der(0x30, SHA256_WITH_RSA);
    // Outer and inner header have four bytes each: both are longer than 255 bytes.
    let whole = certificate.der();
    let length = 256 * usize::from(whole[6]) + usize::from(whole[7]);
    let inside = &whole[8..8 + length];
    let at = inside
        .windows(with.len())
        .position(|part| part == with)
        .unwrap();
    let inside = [&inside[..at], &without, &inside[at + with.len()..]].concat();
    let to_be_signed = der(0x30, &inside);
    let signature = [vec![0], key.sign(&to_be_signed).unwrap()].concat();
    let all = [to_be_signed, without, der(3, &signature)].concat();
    Certificate::from_der(&der(0x30, &all)).unwrap()
}

/// C10: strangers do not drive out the issuers of a fleet.
#[test]
fn issuers_of_a_verified_path_stay_in_memory() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let leaf = middle.leaf("edge-001");
    let seen = SeenIssuers::new(8);
    let shown = [
        leaf.certificate.der(),
        middle.certificate.der(),
        root.certificate.der(),
    ];
    let presented = PresentedChain::new(&shown, &seen).unwrap();
    verify_to_anchor(&presented, &root.certificate, NOW, &IssuerCache::default()).unwrap();
    for number in 0..100 {
        let stranger = Toy::root(&format!("stranger {number}"));
        let shown = [leaf.certificate.der(), stranger.certificate.der()];
        PresentedChain::new(&shown, &seen).unwrap();
        assert!(
            seen.knows(&middle.certificate) && seen.knows(&root.certificate),
            "{number}"
        );
        assert!(seen.len() <= 8, "{}", seen.len());
    }
    // Nor do too many that were verified fill it for ever.
    for number in 0..20 {
        let ca = root.ca(&format!("line {number}"), 2);
        let leaf = ca.leaf("edge-002");
        let shown = [leaf.certificate.der(), ca.certificate.der()];
        let presented = PresentedChain::new(&shown, &seen).unwrap();
        verify_to_anchor(&presented, &root.certificate, NOW, &IssuerCache::default()).unwrap();
        assert!(seen.len() <= 8 && seen.knows(&ca.certificate), "{number}");
    }
}

/// P8: what is not read is kept for the one who has to find out why.
#[test]
fn a_chain_that_is_not_read_says_why_and_what_was_seen() {
    let root = Toy::root("root");
    let leaf = root.leaf("edge-001");
    let (leaf, root) = (
        leaf.certificate.der().to_vec(),
        root.certificate.der().to_vec(),
    );
    let read = |shown: &[Vec<u8>]| PresentedChain::read(shown, &SeenIssuers::new(0)).unwrap_err();
    let many = [vec![leaf.clone()], vec![root.clone(); 10]].concat();
    let (code, seen) = {
        let it = read(&many);
        (it.error().code(), it.certificates().len())
    };
    assert_eq!((code, seen), ("chain_too_long", 10));
    let it = read(&[leaf.clone(), b"no certificate".to_vec(), root.clone()]);
    assert_eq!(
        (it.error().code(), it.certificates().len()),
        ("certificate_unparsable", 2)
    );
    assert!(
        it.error().to_string().contains("certificate 2"),
        "{}",
        it.error()
    );
    let it = read(&[leaf, vec![0x30; 70_000], root]);
    assert_eq!(
        (it.error().code(), it.certificates().len()),
        ("chain_too_large", 1)
    );
}

#[test]
fn the_key_of_a_leaf_is_found_in_every_version() {
    let shop = Workshop::new();
    shop.openssl("req -new -newkey rsa:2048 -nodes -keyout k.pem -subj /CN=a -out r.pem");
    shop.openssl("x509 -req -in r.pem -signkey k.pem -days 2 -out v1.pem");
    shop.openssl("req -x509 -key k.pem -subj /CN=a -days 2 -out v3.pem");
    for file in ["v1.pem", "v3.pem"] {
        let certificate = shop.certificate(file);
        assert_eq!(
            LeafKey::of(certificate.der()).unwrap().spki(),
            certificate.spki_der()
        );
        for length in 0..certificate.der().len() {
            // Nothing is found in a part of one, and nothing panics.
            let part = LeafKey::of(&certificate.der()[..length]);
            assert!(part.is_none(), "{file} {length}");
        }
    }
}
