use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ids::Etag;
use serde::Serialize;
use wire::http::{CONTINUATION, ITEM_TYPE, MAX_ITEM_COUNT, REQUEST_ID};

use crate::RequestId;

/// Real clients look for `application/json` in it.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What a handler answers: status, headers, and a JSON body or none.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Reply {
    /// 200 with a document.
    #[must_use]
    pub fn json(document: &impl Serialize) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, JSON);
        // Serialising our own types fails only for maps with keys that are not text; there are
        // none.
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self {
            status: StatusCode::OK,
            headers,
            body: Body::from(body),
        }
    }

    /// 200 with a body that is made while it is sent.
    #[must_use]
    pub fn stream(content_type: &str, body: Body) -> Self {
        let reply = Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
        };
        reply.with(CONTENT_TYPE.as_str(), content_type)
    }

    /// 200 with bytes of any kind.
    #[must_use]
    pub fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        let reply = Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Body::from(body.into()),
        };
        reply.with(CONTENT_TYPE.as_str(), content_type)
    }

    /// 204 without a body.
    #[must_use]
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    /// One page of a listing: a bare array, what it holds and where it goes on in headers.
    #[must_use]
    pub fn page<T: Serialize>(
        rows: &[T],
        item_type: &'static str,
        next: Option<&impl ToString>,
    ) -> Self {
        let reply = Self::json(&rows)
            .with(ITEM_TYPE, item_type)
            .with(MAX_ITEM_COUNT, &rows.len().to_string());
        match next {
            Some(next) => reply.with(CONTINUATION, &next.to_string()),
            None => reply,
        }
    }

    /// The same answer with another status; a number that is not one becomes 500.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    /// The same answer with one more header, its name in lower case. A value that no header may
    /// have is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The same answer with one more header of any name, its value in UTF-8. A name or value that
    /// no header may have is left out.
    #[must_use]
    pub fn with_text(mut self, name: &str, value: &str) -> Self {
        let header = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (header, HeaderValue::from_bytes(value.as_bytes())) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same answer with the version of its record, quoted as HTTP wants.
    #[must_use]
    pub fn with_etag(self, etag: &Etag) -> Self {
        self.with("etag", &format!("\"{etag}\""))
    }

    /// The answer as it is sent; every one names its request.
    #[must_use]
    pub fn into_response(self, request_id: &RequestId) -> Response<Body> {
        let reply = self.with(REQUEST_ID, &request_id.to_string());
        let mut response = Response::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}
