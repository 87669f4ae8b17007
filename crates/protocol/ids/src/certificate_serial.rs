use serde::{Deserialize, Serialize};

use crate::IdError;

/// Longest serial number, bytes: RFC 5280 4.1.2.2, and a zero byte in front of a high bit.
const MAX_BYTES: usize = 21;

/// The serial number of an X.509 certificate: the content octets of its DER INTEGER, without
/// leading zeros.
///
/// Shown as upper-case hexadecimal without separators; parsed in any case, colons allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateSerial {
    bytes: [u8; MAX_BYTES],
    length: u8,
}

impl CertificateSerial {
    /// From the octets of the INTEGER.
    ///
    /// # Errors
    /// When there are more than 21 without leading zeros.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, IdError> {
        let zeros = octets.iter().take_while(|byte| **byte == 0).count();
        let significant = octets.get(zeros..).unwrap_or_default();
        let too_long = || {
            let problem = format!(
                "has {} bytes, {MAX_BYTES} at most are allowed",
                octets.len()
            );
            IdError::new("serial number", "", problem)
        };
        let mut bytes = [0; MAX_BYTES];
        let length = u8::try_from(significant.len()).map_err(|_| too_long())?;
        let room = bytes.get_mut(..significant.len()).ok_or_else(too_long)?;
        room.copy_from_slice(significant);
        Ok(Self { bytes, length })
    }

    /// The octets without leading zeros; none for zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or_default()
    }

    /// Parses hexadecimal digits in either case.
    ///
    /// # Errors
    /// When there are no digits, too many, or one is not hexadecimal.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let error = |problem: &str| IdError::new("serial number", text, problem);
        // Two digits a byte, and a colon after it.
        if text.len() > 3 * MAX_BYTES {
            return Err(error("has too many digits"));
        }
        let digits: Option<Vec<u8>> = text
            .bytes()
            .filter(|byte| *byte != b':')
            .map(|byte| char::from(byte).to_digit(16)?.try_into().ok())
            .collect();
        let digits = digits.filter(|digits| !digits.is_empty());
        let digits = digits.ok_or_else(|| error("is not hexadecimal digits"))?;
        // An odd number of digits begins with a half byte.
        let bytes: Vec<u8> = digits
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        Self::from_bytes(&bytes)
    }
}

impl std::fmt::Display for CertificateSerial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.length == 0 {
            return f.write_str("00");
        }
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl std::str::FromStr for CertificateSerial {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for CertificateSerial {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<CertificateSerial> for String {
    fn from(serial: CertificateSerial) -> String {
        serial.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_of_a_serial_number_is_the_same_number() {
        let serial = CertificateSerial::parse("01:ab:0F").unwrap();
        assert_eq!(serial.to_string(), "01AB0F");
        assert_eq!(CertificateSerial::parse("1AB0f").unwrap(), serial);
        assert_eq!(
            CertificateSerial::from_bytes(&[0, 1, 0xab, 15]).unwrap(),
            serial
        );
        assert_eq!(CertificateSerial::parse("0").unwrap().to_string(), "00");
        for text in ["", ":", "xy", "1 2", &"1".repeat(43)] {
            assert!(CertificateSerial::parse(text).is_err(), "{text}");
        }
        assert!(CertificateSerial::from_bytes(&[1; 22]).is_err());
    }
}
