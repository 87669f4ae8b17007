use reqwest::Method;
use serde_json::Value;

/// A request to the service API.
#[derive(Clone)]
pub struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, String)],
    pub(super) headers: &'a [(&'a str, String)],
    pub(super) if_match: Option<&'a str>,
    pub(super) body: Option<&'a Value>,
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) continuation: Option<&'a str>,
    pub(super) page_size: Option<usize>,
}

impl<'a> Call<'a> {
    /// A request without query and body. `path` holds the decoded segments.
    pub fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            query: &[],
            headers: &[],
            if_match: None,
            body: None,
            bytes: None,
            continuation: None,
            page_size: None,
        }
    }

    pub fn query(self, query: &'a [(&'a str, String)]) -> Self {
        Self { query, ..self }
    }

    pub fn headers(self, headers: &'a [(&'a str, String)]) -> Self {
        Self { headers, ..self }
    }

    pub fn if_match(self, etag: &'a str) -> Self {
        Self {
            if_match: Some(etag),
            ..self
        }
    }

    pub fn body(self, body: &'a Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// A body that is not JSON.
    pub fn bytes(self, bytes: &'a [u8]) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    pub fn page(self, continuation: Option<&'a str>, size: Option<usize>) -> Self {
        Self {
            continuation,
            page_size: size,
            ..self
        }
    }
}
