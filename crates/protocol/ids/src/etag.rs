use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars, text_id};

/// Names one version of a record. Bare: without the quotes that HTTP headers put around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Etag(String);

impl Etag {
    /// Parses an etag, with or without surrounding quotes.
    ///
    /// # Errors
    /// When it is empty, longer than 128 characters or not printable ASCII.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bare = text
            .strip_prefix('"')
            .and_then(|t| t.strip_suffix('"'))
            .unwrap_or(text);
        let allowed = |c: char| c.is_ascii_graphic() && c != '"';
        parse_chars("etag", bare, 128, allowed, "printable ASCII without quotes")?;
        Ok(Self(bare.to_owned()))
    }
}
text_id!(Etag);
