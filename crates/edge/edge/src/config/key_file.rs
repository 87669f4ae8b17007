//! Files that should hold a private key in PEM: the text in them, or what they hold instead.

use pki::Certificate;
use zeroize::Zeroizing;

/// The text of a key file, without a byte order mark. The text around the PEM block may
/// be in any encoding.
pub(crate) fn key_text(bytes: &[u8]) -> Result<Zeroizing<String>, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(
            "the file is UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8 FILE > NEW, and \
             give NEW the mode 0600"
                .to_owned(),
        );
    }
    if let Some(problem) = der(bytes) {
        return Err(problem);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}

/// DER of a key, a certificate or a PKCS#12 file begins with a long SEQUENCE, which no text does.
fn der(bytes: &[u8]) -> Option<String> {
    let content = match bytes {
        [0x30, length @ 0x81..=0x84, rest @ ..] => rest.get(usize::from(length - 0x80)..),
        [0x30, 0x80, rest @ ..] => Some(rest),
        [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => Some(rest),
        _ => return None,
    };
    // PFX: version 3, and then a SEQUENCE; a key begins with version 0 or 1.
    let is_pkcs12 = content.is_some_and(|content| content.starts_with(&[0x02, 0x01, 0x03, 0x30]));
    let problem = if is_pkcs12 {
        "the file is PKCS#12 (.pfx, .p12) and not PEM; take the key out of it with: \
         openssl pkcs12 -in FILE -nocerts -noenc -out KEY, and give KEY the mode 0600"
    } else if Certificate::from_der(bytes).is_ok() {
        "the file holds a certificate (in DER) and no private key; is this the certificate file?"
    } else {
        "the file is DER and not PEM; convert it with: openssl pkey -inform der -in FILE -out \
         NEW, and give NEW the mode 0600"
    };
    Some(problem.to_owned())
}
