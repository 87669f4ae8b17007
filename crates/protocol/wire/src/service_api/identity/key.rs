use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A shared access key as the wire carries it: base64 of 16 to 64 bytes. Wiped when dropped,
/// never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// Parses base64 text; blanks and line ends around it, as files and clipboards add them, are
    /// no part of it.
    ///
    /// # Errors
    /// Says in words what is wrong, without repeating the key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let bytes = STANDARD
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| "a base64 key was expected")?;
        match bytes.len() {
            16..=64 => Ok(Self(Zeroizing::new(text.to_owned()))),
            _ => Err("a key of 16 to 64 bytes was expected"),
        }
    }

    /// The key that these bytes are, 16 to 64 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        Self::parse(&STANDARD.encode(bytes))
    }

    /// The base64 text, for the wire and for storage.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&Zeroizing::new(text))
    }
}

/// For records that carry keys to storage, and to callers who may see them; nothing
/// else serialises a key.
impl serde::Serialize for KeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that was read from a file ends with a line end, and is a key all the same.
    #[test]
    fn blanks_around_a_key_are_no_part_of_it() {
        const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";
        for text in [format!("{KEY}\n"), format!(" {KEY}\r\n"), KEY.to_owned()] {
            assert_eq!(KeyText::parse(&text).unwrap().reveal(), KEY, "{text:?}");
        }
        assert!(KeyText::parse("AAECAwQFBgcI CQoLDA0ODw==").is_err());
    }
}
