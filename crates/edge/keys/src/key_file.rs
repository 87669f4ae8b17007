//! Files that should hold a private key in PEM or DER: the key in them, or what they hold instead.

use pki::{Certificate, KeyError as PemError, PrivateKey};
use zeroize::Zeroizing;

use crate::KeyError;

/// The private key in a file: in PEM, with or without a byte order mark and text around it, or in
/// DER. The error says what to do.
pub(crate) fn private_key(bytes: &[u8]) -> Result<PrivateKey, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(
            "the file is UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8 FILE > NEW, and \
             give NEW the mode 0600"
                .to_owned(),
        );
    }
    if let Some(content) = der_content(bytes) {
        return PrivateKey::from_der(bytes).map_err(|_| no_key_in_der(bytes, content));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    PrivateKey::from_pem(&text, None).map_err(|error| problem(&error))
}

/// A passphrase has no place on the device, where the mode of the file protects the key.
fn problem(error: &PemError) -> String {
    match error {
        PemError::PassphraseNeeded | PemError::OldEncryption | PemError::WrongPassphrase => {
            "the private key is encrypted with a passphrase, and the device has no place for one; \
             decrypt it with: openssl pkey -in FILE -out NEW, and give NEW the mode 0600"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// DER of a key, a certificate or a PKCS#12 file begins with a SEQUENCE that is as long as the
/// file or has a long length, which no text does.
fn der_content(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x30, length @ 0x81..=0x84, rest @ ..] => rest.get(usize::from(length - 0x80)..),
        [0x30, 0x80, rest @ ..] => Some(rest),
        [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => Some(rest),
        _ => None,
    }
}

fn no_key_in_der(bytes: &[u8], content: &[u8]) -> String {
    // PFX: version 3, and then a SEQUENCE; a key begins with version 0 or 1.
    let problem = if content.starts_with(&[0x02, 0x01, 0x03, 0x30]) {
        "the file is PKCS#12 (.pfx, .p12) and not PEM; take the key out of it with: \
         openssl pkcs12 -in FILE -nocerts -noenc -out KEY, and give KEY the mode 0600"
    } else if Certificate::from_der(bytes).is_ok() {
        "the file holds a certificate (in DER) and no private key; is this the certificate file?"
    } else {
        "the file is DER, and no private key that is known; is it encrypted? convert it with: \
         openssl pkey -inform der -in FILE -out NEW, and give NEW the mode 0600"
    };
    problem.to_owned()
}

/// The lengths of the keys that registries make, as base64 without padding.
const USUAL_TEXT: [usize; 2] = [43, 86];

/// A symmetric key in a file is its bytes. People put its base64 text there, or PEM.
pub(crate) fn refuse_text(bytes: &[u8], path: &str) -> Result<(), KeyError> {
    let text = std::str::from_utf8(bytes).map_or("", str::trim);
    let text = text.trim_end_matches('=');
    let is_base64 = |one: u8| one.is_ascii_alphanumeric() || one == b'+' || one == b'/';
    if USUAL_TEXT.contains(&text.len()) && text.bytes().all(is_base64) {
        return Err(KeyError::unavailable(format!(
            "{path}: the file holds base64, but a key in a file is its bytes; write the text as \
             value = \"…\", or decode it: base64 -d {path} > NEW, and give NEW the mode 0600"
        )));
    }
    match bytes.starts_with(b"-----BEGIN") {
        true => Err(KeyError::invalid(format!(
            "{path}: the file holds PEM and no symmetric key"
        ))),
        false => Ok(()),
    }
}
