//! Keys and signatures that TLS verifies, and those that it does not.

use pki::{
    Certificate, IssuerCache, KeyType, LeafKey, PresentedChain, PrivateKey, RsaHash,
    SignatureScheme, Signer, pin_leaf, verify_chain,
};

use crate::der::der;
use crate::openssl::{Workshop, while_valid};
use crate::toy::{NOW, Toy, ca_params};

/// Options of `openssl genpkey`, and how a key that TLS does not accept is named.
const LEAF_KEYS: &[(&str, Option<&str>)] = &[
    (
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        Some("RSA key of 1024 bits"),
    ),
    (
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2047",
        Some("RSA key of 2047 bits"),
    ),
    ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", None),
    (
        "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
        Some("secp256k1"),
    ),
    (
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-224",
        Some("P-224"),
    ),
    (
        "-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
        Some("brainpoolP256r1"),
    ),
    ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", None),
    ("-algorithm ED448", Some("Ed448")),
    ("-algorithm ED25519", None),
    (
        "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
        Some("RSA-PSS alone"),
    ),
];

/// No handshake proves possession of these keys, so no other check may accept them.
#[test]
fn a_leaf_whose_key_no_handshake_proves_is_refused_by_name() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \
         root.key -out root.pem -days 30 -subj /CN=Root -addext keyUsage=critical,keyCertSign",
    );
    shop.write(
        "leaf.ext",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
    );
    let root = shop.certificate("root.pem");
    for (make, named) in LEAF_KEYS {
        shop.openssl(&format!("genpkey {make} -out leaf.key"));
        shop.openssl("req -new -key leaf.key -subj /CN=edge-001 -out leaf.csr");
        shop.openssl(
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 5 -days 10 \
             -extfile leaf.ext -out leaf.pem",
        );
        let leaf = shop.certificate("leaf.pem");
        let now = while_valid(&leaf);
        let presented = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
        let by_chain = verify_chain(&presented, &root, now, &IssuerCache::default()).map(drop);
        let by_pin = pin_leaf(&presented, leaf.sha256(), now).map(drop);
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

/// A signature that the TLS library verifies is accepted; for others the message names the fault.
#[test]
fn rsa_signatures_in_unusual_forms() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 \
         -subj /CN=Root -addext keyUsage=critical,keyCertSign",
    );
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key \
         -out leaf.csr -subj /CN=edge-001",
    );
    shop.write(
        "leaf.ext",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
    );
    let root = shop.certificate("root.pem");
    let sign = "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 5 -days 10 \
         -extfile leaf.ext -out leaf.pem";
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
        let presented = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
        let verified = verify_chain(
            &presented,
            &root,
            while_valid(&leaf),
            &IssuerCache::default(),
        );
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
    let presented = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
    verify_chain(&presented, &root.certificate, NOW, &IssuerCache::default()).unwrap();
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
    let signer: &Signer = key.as_ref();
    let scheme = SignatureScheme::RsaPkcs1(RsaHash::Sha256);
    let signed = signer.sign(scheme, &to_be_signed).unwrap();
    let signature = [vec![0], signed].concat();
    let all = [to_be_signed, without, der(3, &signature)].concat();
    Certificate::from_der(&der(0x30, &all)).unwrap()
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
