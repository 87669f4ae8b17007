use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use ids::IdError;
use wire::http::IfMatch;

use crate::{RequestError, Service};

/// A request that was admitted, its body read. Only [`answer`](crate::answer) makes one.
pub struct Call<S: Service> {
    /// The service that the request was sent to.
    pub service: S,
    /// What the check of the caller came to.
    pub permit: S::Permit,
    /// The whole body, within the limit of the route.
    pub body: Bytes,
    pub(crate) parts: Parts,
}

impl<S: Service> Call<S> {
    /// All headers of the request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header as text; one that is not text counts as absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query string, decoded. The name matches in any letter case.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        wire::http::query_value(self.parts.uri.query(), name)
    }

    /// The condition of the `If-Match` header.
    ///
    /// # Errors
    /// When it is not an etag. One that is not text is not taken for absent: that would
    /// make a delete unconditional.
    pub fn if_match(&self) -> Result<IfMatch, RequestError> {
        Ok(if_match(&self.parts.headers)?)
    }
}

fn if_match(headers: &HeaderMap) -> Result<IfMatch, IdError> {
    let header = headers.get(IF_MATCH);
    // U+007F is in no etag.
    IfMatch::parse(header.map(|value| value.to_str().unwrap_or("\u{7f}")))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_if_match_that_is_not_text_is_an_error_and_not_absent() {
        let with = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            HeaderMap::from_iter([(IF_MATCH, value)])
        };
        assert_eq!(if_match(&HeaderMap::new()), Ok(IfMatch::Absent));
        assert_eq!(if_match(&with(b"*")), Ok(IfMatch::Any));
        assert!(if_match(&with(b"\"\xff\"")).is_err());
    }
}
