//! Verification certificates, and what may be an anchor at all.

use pki::{PossessionError, UnusableCaCertificate, prove_possession, usable_ca_certificate};
use rcgen::KeyUsagePurpose;

use crate::openssl::{Workshop, while_valid};
use crate::toy::{NOW, Toy, ca_params, days, key, leaf_params};

const CODE: &str = "81C8B4B0A46DF38D7B4B9F6C6C1D1E2F3A4B5C6D7E8F9A0B";

#[test]
fn a_certificate_signed_with_the_key_is_proof() {
    let root = Toy::root("root");
    let presented = root.leaf(CODE);
    let proof = prove_possession(&root.certificate, &presented.certificate, NOW).unwrap();
    assert_eq!(proof.common_name(), CODE);
}

#[test]
fn what_openssl_signs_as_the_articles_scripts_do_proves_it() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey rsa:4096 -nodes -keyout root.key -out root.pem -days 30 \
         -sha256 -subj /CN=Root -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    shop.openssl(&format!(
        "req -new -newkey rsa:2048 -nodes -keyout code.key -out code.csr -subj /CN={CODE}"
    ));
    shop.openssl(
        "x509 -req -in code.csr -CA root.pem -CAkey root.key -CAcreateserial -out bare.pem -days 1",
    );
    shop.write(
        "leaf.ext",
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
            extendedKeyUsage=clientAuth\n",
    );
    shop.openssl(
        "x509 -req -in code.csr -CA root.pem -CAkey root.key -set_serial 9 -out full.pem \
         -days 1 -sha384 -extfile leaf.ext",
    );
    let root = shop.certificate("root.pem");
    for file in ["bare.pem", "full.pem"] {
        let presented = shop.certificate(file);
        let proof = prove_possession(&root, &presented, while_valid(&presented)).unwrap();
        assert_eq!(proof.common_name(), CODE, "{file}");
    }
}

#[test]
fn nothing_else_proves_it() {
    let root = Toy::root("root");
    let below = root.ca("below", 1);
    let impostor = Toy::signed(ca_params("root"), key(3), None);
    let mut over = leaf_params(CODE);
    over.not_after = days(-1).to_offset_date_time();
    let over = Toy::signed(over, key(7), Some(&root));
    let mut nameless = leaf_params(CODE);
    nameless.distinguished_name = rcgen::DistinguishedName::new();
    let nameless = Toy::signed(nameless, key(7), Some(&root));
    let refused =
        |presented: &Toy| prove_possession(&root.certificate, &presented.certificate, NOW);
    let error = refused(&below.leaf(CODE)).unwrap_err();
    assert!(
        matches!(error, PossessionError::OtherIssuer { .. }),
        "{error}"
    );
    let error = refused(&impostor.leaf(CODE)).unwrap_err();
    assert!(matches!(error, PossessionError::OtherKey { .. }), "{error}");
    let error = refused(&over).unwrap_err();
    assert!(matches!(error, PossessionError::NotValid { .. }), "{error}");
    assert_eq!(
        refused(&nameless).unwrap_err(),
        PossessionError::NoCommonName
    );
    assert_eq!(
        refused(&root).unwrap_err(),
        PossessionError::SameCertificate
    );
}

#[test]
fn an_anchor_is_a_ca_that_is_not_over() {
    let root = Toy::root("root");
    let usable = usable_ca_certificate(&root.certificate, NOW).unwrap();
    assert_eq!(usable.certificate(), &root.certificate);
    assert!(
        usable_ca_certificate(&root.certificate, days(-20)).is_ok(),
        "a rollover prepared ahead"
    );
    let over = usable_ca_certificate(&root.certificate, days(20)).unwrap_err();
    assert!(matches!(over, UnusableCaCertificate::Expired(_)), "{over}");
    let leaf = usable_ca_certificate(&root.leaf("leaf").certificate, NOW).unwrap_err();
    assert_eq!(leaf, UnusableCaCertificate::NotCa);
    let mut params = ca_params("signs nothing");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mute = Toy::signed(params, key(1), None);
    assert_eq!(
        usable_ca_certificate(&mute.certificate, NOW).unwrap_err(),
        UnusableCaCertificate::MayNotIssue
    );
}

#[test]
fn keys_that_nobody_verifies_are_no_anchors() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -nodes -keyout \
         k1.key -out k1.pem -days 30 -subj /CN=PowerShell",
    );
    shop.openssl(
        "req -x509 -new -newkey rsa:1024 -nodes -keyout weak.key -out weak.pem -days 30 -subj \
         /CN=Weak",
    );
    for file in ["k1.pem", "weak.pem"] {
        let certificate = shop.certificate(file);
        let error = usable_ca_certificate(&certificate, while_valid(&certificate)).unwrap_err();
        assert!(
            matches!(error, UnusableCaCertificate::UnsupportedKey(_)),
            "{file}: {error}"
        );
    }
}
