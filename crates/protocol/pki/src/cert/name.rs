//! Distinguished names as text.

use std::borrow::Cow;

use x509_parser::prelude::{FromDer, X509Name};
use x509_parser::x509::AttributeTypeAndValue;

/// The last common name: the most specific one when there are several.
pub(crate) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().last().and_then(value_text)
}

/// RFC 4514: most specific part first; `, ` between parts and `+` inside multi-valued ones, as .NET
/// and OpenSSL show them.
pub(crate) fn to_text(der: &[u8]) -> String {
    let Ok((_, name)) = X509Name::from_der(der) else {
        return "(unreadable name)".to_owned();
    };
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(", ")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let known = label(attribute.attr_type().as_bytes());
    let label = known.map_or_else(
        || Cow::Owned(attribute.attr_type().to_id_string()),
        Cow::Borrowed,
    );
    let value = value_text(attribute).map_or_else(
        || format!("#{}", hex(attribute.as_slice())),
        |text| escape(&text),
    );
    [&*label, "=", &value].concat()
}

/// The short name of an attribute by the content of its OID.
fn label(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        // 2.5.4.*
        [0x55, 4, last] => match last {
            3 => "CN",
            5 => "SERIALNUMBER",
            6 => "C",
            7 => "L",
            8 => "ST",
            9 => "STREET",
            10 => "O",
            11 => "OU",
            _ => return None,
        },
        // 0.9.2342.19200300.100.1.*
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, last] => match last {
            1 => "UID",
            25 => "DC",
            _ => return None,
        },
        // 1.2.840.113549.1.9.1
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "E",
        _ => return None,
    })
}

/// The text of a value of any string type of RFC 5280
/// (DirectoryString, IA5String, NumericString, VisibleString).
fn value_text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    const TELETEX: u32 = 20;
    const VISIBLE: u32 = 26;
    const UNIVERSAL: u32 = 28;
    const BMP: u32 = 30;
    if let Ok(text) = attribute.as_str() {
        return Some(text.to_owned());
    }
    let bytes = attribute.as_slice();
    match attribute.attr_value().tag().0 {
        // T.61 in name, Latin-1 as everybody writes and reads it: OpenSSL with `string_mask =
        // nombstr` does for an underscore.
        TELETEX => Some(bytes.iter().copied().map(char::from).collect()),
        VISIBLE if bytes.is_ascii() => String::from_utf8(bytes.to_vec()).ok(),
        // Big-endian UTF-32.
        UNIVERSAL => {
            let (units, rest) = bytes.as_chunks::<4>();
            let text = units
                .iter()
                .map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            text.collect::<Option<String>>().filter(|_| rest.is_empty())
        }
        // Big-endian UTF-16, which Windows tools write.
        BMP => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// The parts of a name in a form in which equal names are equal (RFC 5280, 7.1): whatever string
/// type they are written in, whatever the case of letters, however many blanks stand in a row.
/// `None` when it is no name.
pub(crate) fn canonical_parts(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (rest, name) = X509Name::from_der(der).ok()?;
    let part = |rdn: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        let mut values: Vec<Vec<u8>> = rdn.iter().map(canonical_value).collect();
        values.sort_unstable();
        with_lengths(&values)
    };
    rest.is_empty().then(|| name.iter_rdn().map(part).collect())
}

/// A whole name in that form.
pub(crate) fn canonical(der: &[u8]) -> Box<[u8]> {
    let parts = canonical_parts(der);
    parts.map_or_else(|| der.into(), |parts| with_lengths(&parts).into())
}

/// Whether a name is in the tree below another one.
pub(crate) fn is_name_within(name: &[Vec<u8>], base: &[Vec<u8>]) -> bool {
    name.starts_with(base)
}

fn canonical_value(attribute: &AttributeTypeAndValue<'_>) -> Vec<u8> {
    let value = match value_text(attribute) {
        Some(text) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").to_lowercase().into_bytes()
        }
        None => {
            let tag = attribute.attr_value().tag().0.to_be_bytes();
            [&[0xff], tag.as_slice(), attribute.as_slice()].concat()
        }
    };
    with_lengths(&[attribute.attr_type().as_bytes().to_vec(), value])
}

fn with_lengths(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend((part.len() as u64).to_be_bytes());
        all.extend(part);
    }
    all
}

/// The mail addresses in a subject, where they were before there was a subjectAltName.
pub(super) fn mail_addresses(der: &[u8]) -> Vec<String> {
    let Ok((_, name)) = X509Name::from_der(der) else {
        return Vec::new();
    };
    name.iter_email().filter_map(value_text).collect()
}

fn escape(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.as_bytes().iter().all(is_plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (index, c) in text.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (index == 0 && matches!(c, ' ' | '#'))
            || (index == last && c == ' ');
        if special {
            out.push('\\');
        }
        out.push(if c.is_control() { '\u{fffd}' } else { c });
    }
    out
}

/// Upper-case hexadecimal, two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(digits.map(|nibble| digit(nibble).to_ascii_uppercase()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_those_of_the_dotted_oids() {
        use x509_parser::der_parser::Oid;
        for (dotted, expected) in [
            (&[2, 5, 4, 3][..], Some("CN")),
            (&[2, 5, 4, 11], Some("OU")),
            (&[2, 5, 4, 4], None),
            (&[0, 9, 2342, 19_200_300, 100, 1, 1], Some("UID")),
            (&[0, 9, 2342, 19_200_300, 100, 1, 25], Some("DC")),
            (&[1, 2, 840, 113_549, 1, 9, 1], Some("E")),
            (&[1, 2, 840, 113_549, 1, 9, 2], None),
        ] {
            let oid = Oid::from(dotted).unwrap();
            assert_eq!(label(oid.as_bytes()), expected, "{dotted:?}");
        }
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 0x5a, 0xff]), "005AFF");
    }
}
