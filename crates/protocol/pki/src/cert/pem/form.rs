//! What the bytes of a file are: DER, text of several encodings, Base64 without markers, or
//! something else that has a name.

use std::borrow::Cow;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{Certificate, CertificateError, PemError, blocks, encode, parse_bundle};

pub(super) const PUBLIC_KEY: &str = "it holds a public key and no certificate";
pub(super) const CRL: &str = "it holds a revocation list (CRL) and no certificate";
pub(super) const UTF_16: &str = "it is text in UTF-16 without a byte order mark; save it as UTF-8";
const PKCS7: &str = "it is a PKCS#7 file (.p7b, .p7c); take the certificate out of it: openssl \
     pkcs7 -inform DER -in FILE -print_certs -out certificates.pem";
const PKCS12: &str = "it is a PKCS#12 file (.pfx, .p12), which also holds a private key; take the \
     certificate out of it: openssl pkcs12 -in FILE -nokeys -out certificates.pem";

/// Every certificate of a file, whatever its form.
pub(in crate::cert) fn read_all(bytes: &[u8]) -> Result<Vec<Certificate>, PemError> {
    if is_der(bytes) {
        return one_der(bytes);
    }
    let text = text_of(bytes)?;
    match unmarked(&text) {
        Some(inner) if is_der(&inner) => one_der(&inner),
        Some(inner) => parse_bundle(&text_of(&inner)?),
        None => parse_bundle(&text),
    }
}

/// The file as PEM text of whatever certificates it has, parsed or not: for a check that is to say
/// itself what is wrong with one.
pub(in crate::cert) fn as_text(bytes: &[u8]) -> Result<String, PemError> {
    if is_der(bytes) {
        return Ok(encode("CERTIFICATE", bytes));
    }
    let text = text_of(bytes)?;
    Ok(match unmarked(&text) {
        Some(inner) if is_der(&inner) => encode("CERTIFICATE", &inner),
        Some(inner) => text_of(&inner)?.into_owned(),
        None => text.into_owned(),
    })
}

/// Text: UTF-8 with or without its mark, UTF-16 with it, as PowerShell and Notepad write them. What
/// surrounds blocks may be in any encoding that agrees with ASCII.
pub(crate) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, PemError> {
    let decoded = match bytes {
        [0xff, 0xfe, rest @ ..] | rest @ [b'-', 0, ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] | rest @ [0, b'-', ..] => utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => return Ok(String::from_utf8_lossy(rest)),
        plain => return Ok(String::from_utf8_lossy(plain)),
    };
    decoded.map(Cow::Owned).ok_or(PemError::Instead(UTF_16))
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    odd.is_empty().then(|| String::from_utf16(&units).ok())?
}

/// What Base64 without any marker holds, when the whole text is that.
fn unmarked(text: &str) -> Option<Vec<u8>> {
    if text.contains("--") || text.trim().is_empty() {
        return None;
    }
    blocks::decode(text)
}

/// A SEQUENCE with a long length, or exactly as long as it says: no text is like that.
fn is_der(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, length, ..] if *length >= 0x80 => true,
        [0x30, length, rest @ ..] => usize::from(*length) == rest.len(),
        _ => false,
    }
}

fn one_der(der: &[u8]) -> Result<Vec<Certificate>, PemError> {
    let parsed = Certificate::from_der(der);
    Ok(vec![parsed.map_err(|source| instead(der, 1, source))?])
}

/// Names what was taken for a certificate.
pub(super) fn instead(der: &[u8], position: usize, source: CertificateError) -> PemError {
    const INTEGER: u8 = 2;
    const OCTET_STRING: u8 = 4;
    const OID: u8 = 6;
    const SEQUENCE: u8 = 0x30;
    // The tags of the first two members, and the first one's content.
    match members(der) {
        Some((OID, _, _)) => PemError::Instead(PKCS7),
        Some((INTEGER, [3], Some(SEQUENCE))) => PemError::Instead(PKCS12),
        Some((INTEGER, [0 | 1], Some(SEQUENCE | INTEGER | OCTET_STRING))) => {
            PemError::PrivateKeyInstead
        }
        Some((SEQUENCE, [OID, ..], Some(OCTET_STRING))) => PemError::PrivateKeyInstead,
        Some((SEQUENCE, [OID, ..], _)) => PemError::Instead(PUBLIC_KEY),
        _ if X509CertificationRequest::from_der(der).is_ok() => PemError::RequestInstead,
        _ if CertificateRevocationList::from_der(der).is_ok() => PemError::Instead(CRL),
        _ => PemError::Certificate { position, source },
    }
}

/// The first member of a SEQUENCE, its content, and the tag of the second one. PKCS#7 and PKCS#12
/// may be BER without a length.
fn members(ber: &[u8]) -> Option<(u8, &[u8], Option<u8>)> {
    let inside = ber.get(header(ber)?..)?;
    let tag = *inside.first()?;
    let start = header(inside)?;
    let length = match *inside.get(1)? {
        short @ 0..0x80 => usize::from(short),
        0x80 => return Some((tag, &[], None)),
        long => {
            let bytes = inside.get(2..start)?;
            debug_assert_eq!(bytes.len(), usize::from(long & 0x7f));
            bytes.iter().try_fold(0_usize, |sum, byte| {
                sum.checked_mul(256)?.checked_add(usize::from(*byte))
            })?
        }
    };
    let end = start.checked_add(length)?;
    Some((tag, inside.get(start..end)?, inside.get(end).copied()))
}

/// How many bytes tag and length take.
fn header(ber: &[u8]) -> Option<usize> {
    Some(match *ber.get(1)? {
        0..=0x80 => 2,
        long @ 0x81..=0x84 => 2 + usize::from(long & 0x7f),
        _ => return None,
    })
}
