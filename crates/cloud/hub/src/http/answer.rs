//! What a handler answers, and how it becomes an HTTP response.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use ids::{Etag, Timestamp};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use wire::error::{HubErrorCode, HubHttpError};
use wire::http::REQUEST_ID;

/// Real clients look for `application/json` in it.
const JSON: &str = "application/json; charset=utf-8";

/// An answer before it is bytes.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    /// JSON text: what a device answered goes through as it is.
    body: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// 200 with a document.
    pub(super) fn json(document: Value) -> Self {
        Self {
            status: 200,
            body: Some(document.to_string()),
            headers: Vec::new(),
        }
    }

    /// 200 with a document that serialises itself.
    pub(super) fn of(document: &impl Serialize) -> Self {
        Self {
            status: 200,
            body: serde_json::to_string(document).ok(),
            headers: Vec::new(),
        }
    }

    /// 204.
    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            body: None,
            headers: Vec::new(),
        }
    }

    /// An error: its text in the body, its code's name in a header.
    pub(super) fn refusal(
        status: u16,
        code: HubErrorCode,
        message: String,
        id: Uuid,
        now: Timestamp,
    ) -> Self {
        let body = HubHttpError::new(code, message, &id.to_string(), now);
        let mut answer = Self::of(&body).with(HubHttpError::HEADER, code.name());
        answer.status = status;
        answer
    }

    /// The same with the record's version, quoted as HTTP wants.
    pub(super) fn version(self, etag: &Etag) -> Self {
        self.with(ETAG.as_str(), &format!("\"{etag}\""))
    }

    /// The same with a header. `name` is in lower case.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn encode(self, request_id: Uuid) -> Response {
        let bytes = self.body;
        let has_body = bytes.is_some();
        let mut response = Response::new(bytes.map_or_else(Body::empty, Body::from));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        let own = [(REQUEST_ID, request_id.to_string())];
        for (name, value) in own.into_iter().chain(self.headers) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
