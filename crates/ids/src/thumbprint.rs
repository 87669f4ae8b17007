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

macro_rules! thumbprint {
    ($name:ident, $bytes:literal, $what:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// Shown as upper-case hexadecimal without separators; parsed in any case, colons allowed.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Wraps a digest computed elsewhere.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Parses hexadecimal.
            ///
            /// # Errors
            /// When the number of digits is wrong or one is not hexadecimal.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_hex($what, text).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
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
        assert!(Thumbprint::parse("zz").is_err());
        assert!(ThumbprintSha1::parse(&"ab".repeat(32)).is_err());
    }
}
