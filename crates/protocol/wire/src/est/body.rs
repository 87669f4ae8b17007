use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{CERTIFICATES, PKCS10};

/// Longest body of a request, bytes: 8 KiB of DER as base64 with line breaks, or as PEM.
pub const MAX_BODY: usize = 16 * 1024;
/// Characters of a line of base64 (RFC 2045 6.8).
const LINE: usize = 76;

/// Without padding, too: clients leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a body is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// `Content-Type` is missing or another one.
    #[error("the Content-Type must be {PKCS10}, not {0:?}")]
    MediaType(String),
    /// There is no body.
    #[error("the body is empty; a certificate request (PKCS#10) in base64 was expected")]
    Empty,
    /// It is neither base64, nor PEM, nor DER.
    #[error("the body is not the base64 of a certificate request (PKCS#10)")]
    NotBase64,
}

/// Requires the media type of a certificate request, with any parameters.
///
/// # Errors
/// With what was sent instead, shortened.
pub fn require_pkcs10(content_type: Option<&str>) -> Result<(), BodyError> {
    let text = content_type.unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    match media_type.eq_ignore_ascii_case(PKCS10) {
        true => Ok(()),
        false => Err(BodyError::MediaType(text.chars().take(64).collect())),
    }
}

/// The bytes of a body in base64, with or without line breaks and padding. DER and PEM pass as they
/// are. A `Content-Transfer-Encoding` says nothing (RFC 8951 3.1).
///
/// # Errors
/// When it is empty, or text that is not base64.
pub fn decode(body: &[u8]) -> Result<Cow<'_, [u8]>, BodyError> {
    let text = body.trim_ascii();
    match text {
        [] => Err(BodyError::Empty),
        // A SEQUENCE of more than 127 bytes, as every request is.
        [0x30, 0x80..=0xff, ..] => Ok(Cow::Borrowed(body.trim_ascii_start())),
        _ if text.starts_with(b"-----BEGIN") => Ok(Cow::Borrowed(text)),
        _ => {
            let is_text = |byte: &u8| !byte.is_ascii_whitespace();
            let packed: Vec<u8> = text.iter().copied().filter(is_text).collect();
            let bytes = LENIENT.decode(packed).map_err(|_| BodyError::NotBase64)?;
            match bytes.is_empty() {
                true => Err(BodyError::Empty),
                false => Ok(Cow::Owned(bytes)),
            }
        }
    }
}

/// Base64 in lines of 76 characters, each ended.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + 2 * text.len().div_ceil(LINE));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push_str("\r\n");
        rest = after;
    }
    lines
}

/// Base64 in one line, which is ended.
#[must_use]
pub fn encode_in_one_line(bytes: &[u8]) -> String {
    let mut line = STANDARD.encode(bytes);
    line.push_str("\r\n");
    line
}

/// The answer to `serverkeygen` (RFC 7030 4.4.2): `Content-Type`, and a body with the key (PKCS#8)
/// and the certificates (PKCS#7). `boundary` is fresh randomness, of letters and digits.
#[must_use]
pub fn key_and_certificate(
    key: &[u8],
    certificates: &[u8],
    boundary: &str,
) -> (String, Zeroizing<String>) {
    let key = Zeroizing::new(encode(key));
    let certificates = encode(certificates);
    // With its full capacity from the start, because a growing text leaves copies of the key.
    let capacity = key.len() + certificates.len() + 3 * boundary.len() + 256;
    let mut body = Zeroizing::new(String::with_capacity(capacity));
    for (media_type, part) in [
        ("application/pkcs8", key.as_str()),
        (CERTIFICATES, certificates.as_str()),
    ] {
        for text in [
            "--",
            boundary,
            "\r\nContent-Type: ",
            media_type,
            "\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            part,
            "\r\n",
        ] {
            body.push_str(text);
        }
    }
    for text in ["--", boundary, "--\r\n"] {
        body.push_str(text);
    }
    (format!("multipart/mixed; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies_as_clients_send_them() {
        let der = [0x30, 0x81, 0x02, 0x05];
        for body in [
            &b"MIECBQ=="[..],
            b"MIECBQ",
            b"MIEC\r\nBQ==\r\n",
            b"  MI EC\tBQ\n==\n\n",
            &der,
            b"\n\x30\x81\x02\x05",
        ] {
            assert_eq!(decode(body).unwrap(), der.as_slice(), "{body:?}");
        }
        let pem = b"-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQU=\n";
        assert_eq!(decode(pem).unwrap(), pem.trim_ascii());
    }

    #[test]
    fn bodies_that_are_not_read() {
        for (body, error) in [
            (&b""[..], BodyError::Empty),
            (b" \r\n", BodyError::Empty),
            (b"==", BodyError::NotBase64),
            (b"MAMC*QU=", BodyError::NotBase64),
            (b"M", BodyError::NotBase64),
            (b"MAMCAQU=MAMCAQU=", BodyError::NotBase64),
            (b"{\"csr\": \"\"}", BodyError::NotBase64),
            (b"\xff\xfe", BodyError::NotBase64),
        ] {
            assert_eq!(decode(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn the_media_type_may_have_parameters_and_any_letter_case() {
        for good in [
            "application/pkcs10",
            "Application/PKCS10; charset=x",
            " application/pkcs10 ",
        ] {
            assert_eq!(require_pkcs10(Some(good)), Ok(()), "{good}");
        }
        for bad in [
            None,
            Some(""),
            Some("application/pkcs10x"),
            Some("text/plain"),
        ] {
            assert!(require_pkcs10(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_are_ended_and_short() {
        assert_eq!(encode(&[0; 57]), format!("{}\r\n", "A".repeat(76)));
        assert_eq!(encode(&[0; 58]), format!("{}\r\nAA==\r\n", "A".repeat(76)));
        assert_eq!(encode(&[]), "");
        let line = format!("{}AA==\r\n", "A".repeat(76));
        assert_eq!(encode_in_one_line(&[0; 58]), line);
    }

    #[test]
    fn a_key_and_its_certificate_are_two_parts() {
        let (media_type, body) = key_and_certificate(&[1, 2], &[3, 4], "b0");
        assert_eq!(media_type, "multipart/mixed; boundary=b0");
        let expected = "--b0\r\nContent-Type: application/pkcs8\r\n\
                        Content-Transfer-Encoding: base64\r\n\r\nAQI=\r\n\r\n\
                        --b0\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n\
                        Content-Transfer-Encoding: base64\r\n\r\nAwQ=\r\n\r\n--b0--\r\n";
        assert_eq!(body.as_str(), expected);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 1..500)) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(text.as_bytes()).unwrap().into_owned(), bytes);
            let is_line = |line: &str| line.len() <= LINE + 2 && line.ends_with("\r\n");
            prop_assert!(text.split_inclusive("\r\n").all(is_line));
        }

        #[test]
        fn any_body_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
