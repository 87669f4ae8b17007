use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use ids::{Timestamp, error_chain};
use pki::{MAX_OCSP_REQUEST_BYTES, sha256};
use provisioning::Provisioning;
use wire::public_pki::{self, LogItem, PublicItem};

use super::generation::PublishedCa;
use super::lists::Wanting;
use super::responder::Answered;
use super::{PublicCorner, PublicError, log};

/// How long others may keep lists and OCSP answers: a revocation is seen after that.
const BRIEFLY: Duration = Duration::from_secs(60);
/// How long others may keep CA certificates, which do not change.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// A request for something of a CA.
pub(super) struct Asked<'a> {
    pub(super) corner: &'a PublicCorner,
    pub(super) service: &'a Provisioning,
    pub(super) ca: &'a PublishedCa,
    pub(super) now: Timestamp,
}

/// Something that is published, with what caches need to know.
struct Published {
    content: Bytes,
    content_type: &'static str,
    /// Names the version.
    etag: String,
    modified: Option<Timestamp>,
    keep: Duration,
}

impl Asked<'_> {
    pub(super) async fn respond(
        &self,
        item: PublicItem<'_>,
        parts: &Parts,
        body: Body,
    ) -> Response<Body> {
        let is_post = parts.method == Method::POST;
        let is_get = matches!(parts.method, Method::GET | Method::HEAD);
        match item {
            PublicItem::Ocsp { request: None } if is_post => self.ocsp_of_body(body).await,
            PublicItem::Ocsp { request: None } => not_allowed("POST"),
            _ if !is_get => not_allowed("GET, HEAD"),
            PublicItem::Ocsp {
                request: Some(request),
            } => {
                let request = public_pki::ocsp_request(request).unwrap_or_default();
                self.ocsp(&request).await
            }
            PublicItem::Certificate => {
                let der = Bytes::copy_from_slice(self.ca.certificate.der());
                self.certificate(der, public_pki::CERTIFICATE, &parts.headers)
            }
            PublicItem::Chain => {
                let chain = Bytes::copy_from_slice(self.ca.chain.as_bytes());
                self.certificate(chain, public_pki::CHAIN, &parts.headers)
            }
            PublicItem::Crl { shard } => self.list(shard, &parts.headers).await,
            PublicItem::Log(item) => self.log(item, &parts.headers),
        }
    }

    fn certificate(
        &self,
        content: Bytes,
        content_type: &'static str,
        headers: &HeaderMap,
    ) -> Response<Body> {
        let certificate = &self.ca.certificate;
        let published = Published {
            content,
            content_type,
            etag: format!("\"{}\"", certificate.sha256()),
            modified: Some(certificate.not_before()),
            keep: LONG,
        };
        published.respond(headers)
    }

    async fn list(&self, shard: Option<u8>, headers: &HeaderMap) -> Response<Body> {
        if !self.ca.signs_lists() {
            return not_found();
        }
        let corner = self.corner;
        let (keys, lists) = (&corner.keys, &corner.lists);
        let (wanted, by) = ((self.ca, shard), Wanting::Client);
        match lists
            .current(keys, self.service, wanted, by, self.now)
            .await
        {
            Ok(list) => {
                let published = Published {
                    content: list.der.clone(),
                    content_type: public_pki::CRL,
                    etag: format!("\"{}\"", list.number),
                    modified: Some(list.this_update),
                    keep: BRIEFLY,
                };
                published.respond(headers)
            }
            // They are cached: those who come a second later get them.
            Err(PublicError::Busy) => {
                let mut response = try_later();
                let second = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, second);
                response
            }
            Err(error) => failed(&error),
        }
    }

    fn log(&self, item: LogItem, headers: &HeaderMap) -> Response<Body> {
        let Some(checkpoints) = &self.corner.checkpoints else {
            return not_found();
        };
        let (keys, service) = (&self.corner.keys, self.service);
        let published = match item {
            LogItem::Checkpoint => checkpoints
                .current(keys, service)
                .map(|(size, head)| Some((head, public_pki::LOG_TEXT, format!("\"{size}\"")))),
            LogItem::Key => log::key(keys, service).map(|key| {
                let etag = format!("\"{}\"", sha256(&key));
                Some((key, public_pki::LOG_TEXT, etag))
            }),
            // What is in the log never changes.
            LogItem::Tile(tile) => log::tile(service, tile).map(|found| {
                found.map(|hashes| (hashes, public_pki::LOG_HASHES, format!("\"{tile}\"")))
            }),
        };
        let keep = match item {
            LogItem::Checkpoint | LogItem::Key => BRIEFLY,
            LogItem::Tile(_) => LONG,
        };
        match published {
            Ok(Some((content, content_type, etag))) => Published {
                content,
                content_type,
                etag,
                modified: None,
                keep,
            }
            .respond(headers),
            Ok(None) => not_found(),
            Err(error) => failed(&error),
        }
    }

    async fn ocsp_of_body(&self, body: Body) -> Response<Body> {
        match to_bytes(body, MAX_OCSP_REQUEST_BYTES).await {
            Ok(request) => self.ocsp(&request).await,
            // Too long, late or broken: no request in any case.
            Err(_) => text(
                StatusCode::BAD_REQUEST,
                "the body is no OCSP request, is too long, or did not arrive in time\n",
            ),
        }
    }

    async fn ocsp(&self, request: &[u8]) -> Response<Body> {
        let (responder, keys) = (&self.corner.responder, &self.corner.keys);
        let answer = responder.answer(keys, self.service, self.ca, request, self.now);
        match answer.await {
            Ok(answer) => ocsp_response(answer),
            Err(error) => failed(&error),
        }
    }
}

fn ocsp_response(answer: Answered) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.der));
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(public_pki::OCSP_RESPONSE);
    headers.insert(header::CONTENT_TYPE, content_type);
    let Some((this_update, next_update)) = answer.fresh else {
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
        return response;
    };
    // RFC 5019, 6.2, but for a shorter time.
    cache_control(headers, BRIEFLY);
    date(headers, header::LAST_MODIFIED, this_update);
    date(headers, header::EXPIRES, next_update);
    response
}

impl Published {
    fn respond(self, asked: &HeaderMap) -> Response<Body> {
        let known = asked.get(header::IF_NONE_MATCH);
        let known = known.and_then(|value| value.to_str().ok());
        let is_known = known.is_some_and(|known| {
            let mut tags = known.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.etag)
        });
        let mut response = match is_known {
            true => Response::new(Body::empty()),
            false => Response::new(Body::from(self.content)),
        };
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(self.content_type);
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(modified) = self.modified {
            date(headers, header::LAST_MODIFIED, modified);
        }
        cache_control(headers, self.keep);
        response
    }
}

fn cache_control(headers: &mut HeaderMap, keep: Duration) {
    let seconds = keep.as_secs();
    let text = format!("public, max-age={seconds}, must-revalidate, no-transform");
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}

fn date(headers: &mut HeaderMap, name: header::HeaderName, moment: Timestamp) {
    if let Ok(value) = HeaderValue::from_str(&moment.to_http_date()) {
        headers.insert(name, value);
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

pub(super) fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "no issuer publishes anything here\n")
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use another method\n");
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// The operator reads why; the client cannot help it.
pub(super) fn failed(error: &PublicError) -> Response<Body> {
    let error = error_chain(error);
    tracing::warn!(error, "a request to an issuer's public paths failed");
    try_later()
}

fn try_later() -> Response<Body> {
    text(StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
}
