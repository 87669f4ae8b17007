//! CsrAttrs (RFC 7030, 4.5.2, as RFC 8951 clarifies it): what an EST client is asked to put into
//! its request.

use crate::der::{Writer, tag};
use crate::{MlDsa, RequestKey};

/// 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// 1.2.840.10045.3.1.7.
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// 1.3.132.0.34.
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0, 34];
/// 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 1.2.840.10045.4.3.3.
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// 1.2.840.113549.1.1.11.
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];

/// The bits of an RSA key that is asked for: the shortest that is accepted.
const RSA_BITS: u16 = 2048;

/// Asks for one kind of key and the signature that goes with it, DER. A client takes every
/// attribute for a demand, so that a choice of keys cannot be expressed: name the preferred one.
#[must_use]
pub fn csr_attributes(key: RequestKey) -> Vec<u8> {
    let mut der = Writer::default();
    der.sequence(|der| match key {
        RequestKey::P256 => {
            attribute(der, EC_PUBLIC_KEY, |der| der.element(tag::OID, SECP256R1));
            der.element(tag::OID, ECDSA_WITH_SHA256);
        }
        RequestKey::P384 => {
            attribute(der, EC_PUBLIC_KEY, |der| der.element(tag::OID, SECP384R1));
            der.element(tag::OID, ECDSA_WITH_SHA384);
        }
        RequestKey::Rsa => {
            let bits = RSA_BITS.to_be_bytes();
            attribute(der, RSA_ENCRYPTION, |der| der.unsigned(&bits));
            der.element(tag::OID, SHA256_WITH_RSA);
        }
        // The same OID names key and signature.
        RequestKey::MlDsa(level) => der.element(tag::OID, ml_dsa(level)),
    });
    der.finish()
}

/// 2.16.840.1.101.3.4.3.17 to .19.
fn ml_dsa(level: MlDsa) -> &'static [u8] {
    match level {
        MlDsa::Level44 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17],
        MlDsa::Level65 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18],
        MlDsa::Level87 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19],
    }
}

/// Attribute ::= SEQUENCE { type OID, values SET OF }.
fn attribute(der: &mut Writer, oid: &[u8], value: impl FnOnce(&mut Writer)) {
    der.sequence(|der| {
        der.element(tag::OID, oid);
        der.nest(tag::SET, value);
    });
}
