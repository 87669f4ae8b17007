//! Files that are meant to be PEM: the text in them, or what they are instead.

use zeroize::Zeroizing;

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Certificates.
    Certificate,
    /// One private key.
    PrivateKey,
}

/// The text of a PEM file, without a byte order mark. What stands around the blocks may be in any encoding.
pub(super) fn text(bytes: &[u8], wanted: Wanted) -> Result<Zeroizing<String>, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(
            "the file is UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8 FILE > NEW"
                .to_owned(),
        );
    }
    if let Some(problem) = binary(bytes, wanted) {
        return Err(problem);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}

/// DER begins with a SEQUENCE of more than 127 bytes, which no text does.
fn binary(bytes: &[u8], wanted: Wanted) -> Option<String> {
    let (length_bytes, content) = match bytes {
        [0x30, first @ 0x81..=0x84, rest @ ..] => (usize::from(first - 0x80), rest),
        [0x30, 0x80, rest @ ..] => (0, rest),
        _ => return None,
    };
    let content = content.get(length_bytes..).unwrap_or_default();
    // PFX: version 3, and then a SEQUENCE; a certificate begins with a SEQUENCE, a key with version 0 or 1.
    if content.starts_with(&[0x02, 0x01, 0x03, 0x30]) {
        return Some(
            "the file is PKCS#12 (.pfx, .p12) and not PEM; take it apart with: openssl pkcs12 -in FILE -nokeys -out CHAIN, \
             and: openssl pkcs12 -in FILE -nocerts -noenc -out KEY"
                .to_owned(),
        );
    }
    let is_certificate = pki::Certificate::from_der(bytes).is_ok();
    Some(match (wanted, is_certificate) {
        (Wanted::Certificate, _) => {
            "the file is DER and not PEM; convert it with: openssl x509 -inform der -in FILE -out NEW".to_owned()
        }
        (Wanted::PrivateKey, true) => {
            "the file holds a certificate (in DER) and no private key; is this the certificate file?".to_owned()
        }
        (Wanted::PrivateKey, false) => {
            "the file is DER and not PEM; convert it with: openssl pkey -inform der -in FILE -out NEW, and give NEW the mode 0600".to_owned()
        }
    })
}
