//! ETags inside JSON and in headers.

use ids::Etag;
use serde::{Deserialize, Serialize};

/// An etag whose JSON text carries the quotes, such as `"\"13003fea-0000\""`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuotedEtag(pub Etag);

impl TryFrom<String> for QuotedEtag {
    type Error = ids::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Etag::parse(&text).map(Self)
    }
}

impl From<QuotedEtag> for String {
    fn from(QuotedEtag(etag): QuotedEtag) -> String {
        format!("\"{etag}\"")
    }
}
