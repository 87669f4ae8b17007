use serde::{Deserialize, Serialize};

use crate::IdError;

fn parse_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != ':')
        .map_while(|c| c.to_digit(16))
        .collect();
    let given = text.chars().filter(|c| *c != ':').count();
    if digits.len() != given || given != 2 * N {
        return Err(IdError::new(
            what,
            text,
            format!("is not {} hexadecimal digits", 2 * N),
        ));
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default();
    }
    Ok(bytes)
}

/// Writes bytes as upper-case hexadecimal, in one piece.
fn write_hex<const N: usize>(bytes: &[u8; N], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Room for the longest, a SHA-256.
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let text = text.get(..2 * N).unwrap_or_default();
    f.write_str(std::str::from_utf8(text).unwrap_or_default())
}

macro_rules! thumbprint {
    ($name:ident, $bytes:literal, $what:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// Shown as upper-case hexadecimal without separators; parsed in any case, colons allowed.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// A digest that the caller has computed.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Parses hexadecimal digits in either case.
            ///
            /// # Errors
            /// When the number of digits is wrong or one is not hexadecimal.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_hex($what, text).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self}")
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(thumbprint: $name) -> String {
                thumbprint.to_string()
            }
        }
    };
}

thumbprint!(
    Thumbprint,
    32,
    "SHA-256 thumbprint",
    "The SHA-256 of a certificate's DER."
);
thumbprint!(
    ThumbprintSha1,
    20,
    "SHA-1 thumbprint",
    "The SHA-1 of a certificate's DER; shown, never trusted alone."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_parses_and_upper_case_is_shown() {
        let text = "aB:".repeat(31) + "0f";
        let thumbprint = Thumbprint::parse(&text).unwrap();
        assert_eq!(thumbprint.to_string(), "AB".repeat(31) + "0F");
        let sha1 = ThumbprintSha1::from_bytes([0x5e; 20]);
        assert_eq!(sha1.to_string(), "5E".repeat(20));
        assert!(Thumbprint::parse("zz").is_err());
        assert!(ThumbprintSha1::parse(&"ab".repeat(32)).is_err());
    }
}
