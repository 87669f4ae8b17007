//! Paths, query strings and `If-Match`, the same in every HTTP API.

use ids::{Etag, IdError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Largest body a service reads unless its API says otherwise, bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// Deepest path that any API has, segments.
const MAX_SEGMENTS: usize = 12;
/// Longest continuation token that is looked at, characters.
const MAX_CONTINUATION: usize = 512;

/// Request header: rows wanted on one page.
pub const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";
/// Request header: where the last page ended. Response header: where this one did,
/// absent after the last.
pub const CONTINUATION: &str = "x-ms-continuation";
/// Response header: what the rows of a page are.
pub const ITEM_TYPE: &str = "x-ms-item-type";
/// Response header: names the request for a support case, a GUID.
pub const REQUEST_ID: &str = "x-ms-request-id";
/// Response header of ours: what is wrong with what was accepted all the same.
pub const WARNING: &str = "x-muster-warning";

/// Whether the reading of a body ended because it took too long: somewhere among the
/// causes is a timeout.
#[must_use]
pub fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A segment is not UTF-8 once decoded.
    #[error("a segment of the path is not UTF-8 after percent-decoding")]
    NotUtf8,
    /// There are more segments than any API has.
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooDeep,
}

/// The segments of a request path: split at `/`, then each percent-decoded exactly once. One
/// trailing `/` is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// Splits and decodes the path of a URI, as received.
    ///
    /// # Errors
    /// When a segment decodes to something that is not UTF-8, or there are more than any API has.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let trimmed = raw.strip_prefix('/').unwrap_or(raw);
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        if trimmed.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut segments = Vec::with_capacity(4);
        for segment in trimmed.split('/') {
            if segments.len() == MAX_SEGMENTS {
                return Err(PathError::TooDeep);
            }
            let decoded = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| PathError::NotUtf8)?;
            segments.push(decoded.into_owned());
        }
        Ok(Self(segments))
    }

    /// The decoded segments, for matching with a slice pattern and [`is`].
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// What [`encode_segment`] leaves as it is: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes one segment of a path, or one value of a query.
#[must_use]
pub fn encode_segment(segment: &str) -> String {
    utf8_percent_encode(segment, RESERVED).to_string()
}

/// Whether a segment is the literal `name`, in any letter case.
#[must_use]
pub fn is(segment: &str, name: &str) -> bool {
    segment.eq_ignore_ascii_case(name)
}

/// The value of a query parameter, percent-decoded; the name in any letter case.
#[must_use]
pub fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?
        .split('&')
        .map(|p| p.split_once('=').unwrap_or((p, "")));
    let (_, raw) = pairs
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    let value = percent_decode_str(raw).decode_utf8_lossy();
    Some(value.into_owned())
}

/// The `api-version` of a request. Any date is served, as clients from 2016 to the
/// newest previews send theirs.
///
/// `None` when the parameter is missing or empty, which every service answers with 400.
#[must_use]
pub fn api_version(query: Option<&str>) -> Option<String> {
    query_value(query, "api-version").filter(|version| !version.is_empty())
}

/// What an `If-Match` header demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header: the record must not exist yet when it is created; deletes are unconditional.
    Absent,
    /// `*` or `"*"`: whatever is stored, if anything.
    Any,
    /// That version and no other.
    Is(Etag),
}

impl IfMatch {
    /// Reads the header. Clients send `*`, `"*"`, `etag`, `"etag"`, and DPS clients the etag with
    /// its inner quotes, as stored.
    ///
    /// # Errors
    /// When the etag is longer than any of ours or not printable ASCII.
    pub fn parse(header: Option<&str>) -> Result<Self, IdError> {
        let Some(text) = header.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self::Absent);
        };
        let text = text.strip_prefix("W/").unwrap_or(text);
        let bare = text.trim_matches(['"', '\\']);
        if bare == "*" {
            return Ok(Self::Any);
        }
        Etag::parse(bare).map(Self::Is)
    }
}

/// Rows of one page: what was asked for within `1..=most`, or `usual` when nothing or nonsense was.
#[must_use]
pub fn page_size(header: Option<&str>, usual: usize, most: usize) -> usize {
    let asked = header.and_then(|text| text.trim().parse::<i64>().ok());
    let asked = asked
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0);
    asked.unwrap_or(usual).min(most)
}

/// The continuation token of a request, `None` when absent, empty or too long to be one of ours.
#[must_use]
pub fn continuation(header: Option<&str>) -> Option<&str> {
    header
        .map(str::trim)
        .filter(|token| !token.is_empty() && token.len() <= MAX_CONTINUATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_once_after_splitting() {
        let path = Path::parse("/devices/a%2Fb%252F/modules/%24edgeAgent/").unwrap();
        assert_eq!(
            path.segments(),
            ["devices", "a/b%2F", "modules", "$edgeAgent"]
        );
        assert_eq!(Path::parse("/").unwrap().segments(), [""; 0]);
        let odd = "a/b%?#+ ü$";
        assert_eq!(Path::parse(&encode_segment(odd)).unwrap().segments(), [odd]);
        assert_eq!(Path::parse("/%ff").unwrap_err(), PathError::NotUtf8);
        assert_eq!(
            Path::parse(&"/a".repeat(13)).unwrap_err(),
            PathError::TooDeep
        );
    }

    #[test]
    fn if_match_in_all_its_spellings() {
        let etag = Etag::parse("13003fea-0000").unwrap();
        for text in [
            "13003fea-0000",
            "\"13003fea-0000\"",
            "\"\\\"13003fea-0000\\\"\"",
            "W/\"13003fea-0000\"",
        ] {
            assert_eq!(
                IfMatch::parse(Some(text)).unwrap(),
                IfMatch::Is(etag.clone()),
                "{text}"
            );
        }
        for text in ["*", "\"*\"", " * "] {
            assert_eq!(IfMatch::parse(Some(text)).unwrap(), IfMatch::Any);
        }
        assert_eq!(IfMatch::parse(None).unwrap(), IfMatch::Absent);
        assert!(IfMatch::parse(Some("a\u{7f}")).is_err());
    }

    #[test]
    fn query_parameters_in_any_case() {
        let query = Some("Top=3&API-Version=2021-06-01");
        assert_eq!(api_version(query).as_deref(), Some("2021-06-01"));
        assert_eq!(api_version(Some("api-version=")), None);
        assert_eq!(api_version(None), None);
    }

    #[test]
    fn page_sizes_are_clamped() {
        assert_eq!(page_size(None, 100, 1000), 100);
        assert_eq!(page_size(Some("-5"), 100, 1000), 100);
        assert_eq!(page_size(Some("7"), 100, 1000), 7);
        assert_eq!(page_size(Some("5000"), 100, 1000), 1000);
    }
}
