//! Kinds of keys and signatures in words, for those that are refused.

use x509_parser::der_parser::Oid;

use super::{Signed, read};

const OID: u8 = 6;

/// The kind of key of the content of an AlgorithmIdentifier, with an article.
pub(super) fn key(algorithm: &[u8]) -> String {
    let Some((kind, rest)) = oid(algorithm) else {
        return "a key of an unreadable kind".to_owned();
    };
    match kind.as_str() {
        "1.2.840.10045.2.1" => match oid(rest) {
            Some((curve, _)) => format!("a key on the curve {}", curve_name(&curve)),
            None => "a key on a curve without a name".to_owned(),
        },
        "1.2.840.113549.1.1.1" => "an RSA key that cannot be read".to_owned(),
        "1.2.840.113549.1.1.10" => "an RSA key for RSA-PSS alone".to_owned(),
        "1.2.840.10040.4.1" => "a DSA key".to_owned(),
        "1.3.101.110" => "an X25519 key".to_owned(),
        "1.3.101.113" => "an Ed448 key".to_owned(),
        other => format!("a key of kind {other}"),
    }
}

fn curve_name(oid: &str) -> &str {
    match oid {
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        other => other,
    }
}

/// The signature algorithm of a certificate, in words.
pub(in crate::cert) fn in_words(certificate: &[u8]) -> String {
    let signed = Signed::split(certificate);
    let Some((kind, rest)) = signed.as_ref().and_then(|signed| oid(signed.algorithm)) else {
        return "an unreadable algorithm".to_owned();
    };
    let known = match kind.as_str() {
        "1.2.840.113549.1.1.10" => {
            let salt = salt(rest).map_or_else(|| "unknown".to_owned(), |salt| salt.to_string());
            return format!(
                "RSA-PSS and a salt of {salt} bytes (with SHA-2 and a salt as long as the hash it \
                 is: openssl … -sigopt rsa_pss_saltlen:digest)"
            );
        }
        "1.2.840.113549.1.1.2" => "RSA and MD2",
        "1.2.840.113549.1.1.4" => "RSA and MD5",
        "1.2.840.113549.1.1.5" => "RSA and SHA-1",
        "1.2.840.113549.1.1.14" => "RSA and SHA-224",
        "1.2.840.10045.4.1" => "ECDSA and SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA and SHA-224",
        "1.2.840.10040.4.3" | "2.16.840.1.101.3.4.3.2" => "DSA",
        "1.3.101.113" => "Ed448",
        other => return format!("the algorithm {other}"),
    };
    known.to_owned()
}

/// `saltLength` of RSASSA-PSS-params: `[2] INTEGER DEFAULT 20`.
fn salt(parameters: &[u8]) -> Option<u64> {
    const SALT: u8 = 0xa2;
    let (parameters, _) = read(parameters)?;
    let mut rest = parameters.content;
    while let Some((member, after)) = read(rest) {
        if member.whole[0] == SALT {
            let (length, _) = read(member.content)?;
            let bytes = length.content.iter();
            return bytes.take(8).try_fold(0_u64, |sum, byte| {
                sum.checked_mul(256)?.checked_add(u64::from(*byte))
            });
        }
        rest = after;
    }
    Some(20)
}

/// The OID of the content of an AlgorithmIdentifier, dotted; empty for other bytes.
pub(in crate::cert) fn dotted(algorithm: &[u8]) -> String {
    oid(algorithm).map_or_else(String::new, |(oid, _)| oid)
}

/// The OID that the bytes begin with, dotted, and what follows it.
fn oid(der: &[u8]) -> Option<(String, &[u8])> {
    let (first, rest) = read(der).filter(|(first, _)| first.whole[0] == OID)?;
    Some((Oid::new(first.content.into()).to_id_string(), rest))
}
