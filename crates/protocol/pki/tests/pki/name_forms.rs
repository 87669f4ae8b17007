//! Names in every form that RFC 5280 allows.

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
use rcgen::{DistinguishedName, DnType, DnValue};

use crate::openssl::Workshop;
use crate::toy::{Toy, ca_params, code, key, leaf_params, verify};

/// every string type of RFC 5280's DirectoryString, and IA5String.
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
    shop.openssl(
        "req -x509 -new -config c.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
         -keyout k.pem -out c.pem -days 3 -subj /CN=pump_001",
    );
    assert_eq!(
        shop.certificate("c.pem").subject_common_name(),
        Some("pump_001")
    );
}

/// names are compared as RFC 5280 7.1 says, in any string type, whatever the case of letters and
/// the number of blanks.
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
