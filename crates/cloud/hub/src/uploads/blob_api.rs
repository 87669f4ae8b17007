//! The blob endpoint: as much of the Azure storage dialect as the device SDKs speak. A token in the
//! query string opens one blob for writing.

mod conditions;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use ids::error_chain;
use registry::{FileUpload, UploadError, WrittenFile};
use rest::{OnProof, RequestId};
use wire::file_upload::{
    BlobSas, BlobSasError, BlockId, BlockListError, WritePermission, blob_of_path,
};
use wire::http::query_value;

use self::conditions::HeaderError;
use super::Replace;
use super::error::BlobError;
use super::part::Expected;
use super::request::UploadRequest;
use crate::service::Hub;

/// The version of the storage service that answers name.
const VERSION: &str = "2018-03-28";
const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
const ENCRYPTED: HeaderName = HeaderName::from_static("x-ms-request-server-encrypted");

/// Why a request to the blob endpoint was not done.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is nothing at this path")]
    NoSuchPath,
    #[error("blobs are written with PUT, and not read here")]
    Method,
    #[error(transparent)]
    Token(#[from] BlobSasError),
    #[error("the header x-ms-blob-type has to be BlockBlob")]
    BlobType,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the query parameter {0} is missing or malformed")]
    Query(&'static str),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Refusal {
    /// The status and the storage service's code.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "ResourceNotFound"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb"),
            Self::Token(_) => (StatusCode::FORBIDDEN, "AuthenticationFailed"),
            Self::Header(HeaderError::Md5) => (StatusCode::BAD_REQUEST, "InvalidMd5"),
            Self::Header(HeaderError::NotOffered(_)) => {
                (StatusCode::BAD_REQUEST, "UnsupportedHeader")
            }
            Self::BlobType => (StatusCode::BAD_REQUEST, "InvalidHeaderValue"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "InvalidQueryParameterValue"),
            Self::Blob(error) => blob(error),
        }
    }
}

fn blob(error: &BlobError) -> (StatusCode, &'static str) {
    match error {
        BlobError::Upload(UploadError::Unknown | UploadError::Disabled(_)) => {
            (StatusCode::FORBIDDEN, "AuthenticationFailed")
        }
        BlobError::Upload(_) | BlobError::Io(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
        }
        // Clients send again after this.
        BlobError::Busy | BlobError::NoSpace => (StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
        BlobError::Md5 => (StatusCode::BAD_REQUEST, "Md5Mismatch"),
        BlobError::TooManyBlocks => (StatusCode::CONFLICT, "BlockCountExceedsLimit"),
        BlobError::List(BlockListError::TooMany) => (StatusCode::BAD_REQUEST, "BlockListTooLong"),
        BlobError::List(_) => (StatusCode::BAD_REQUEST, "InvalidXmlDocument"),
        BlobError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
        BlobError::Late => (StatusCode::REQUEST_TIMEOUT, "OperationTimedOut"),
        BlobError::Interrupted => (StatusCode::BAD_REQUEST, "InvalidInput"),
        BlobError::NoBlock => (StatusCode::BAD_REQUEST, "InvalidBlockList"),
        BlobError::Exists => (StatusCode::CONFLICT, "BlobAlreadyExists"),
    }
}

/// Whether a path is one of the blob endpoint.
pub(crate) fn serves(path: &str) -> bool {
    blob_of_path(path).is_some()
}

/// Answers a request to the blob endpoint.
pub(crate) async fn answer(hub: &Hub, request: Request) -> Response<Body> {
    let request_id = RequestId::fresh();
    let (parts, body) = request.into_parts();
    let mut response = match handle(hub, &parts, body).await {
        Ok(created) => created.response(),
        Err(refusal) => refused(&refusal, &parts, request_id),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert("x-ms-request-id", id);
    }
    headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
    // Clients compare it with theirs.
    if let Some(id) = parts.headers.get(CLIENT_REQUEST_ID) {
        headers.insert(CLIENT_REQUEST_ID, id.clone());
    }
    response
}

async fn handle(hub: &Hub, parts: &Parts, body: Body) -> Result<Created, Refusal> {
    if parts.method != Method::PUT {
        return Err(Refusal::Method);
    }
    let (upload, permission) = admit(hub, parts)?;
    OnProof::notify(parts);
    let query = parts.uri.query();
    let write = match query_value(query, "comp").as_deref() {
        None => Write::Blob(require_block_blob(parts)?),
        Some("block") => {
            let id = query_value(query, "blockid").ok_or(Refusal::Query("blockid"))?;
            let id = BlockId::parse(&id).map_err(|_| Refusal::Query("blockid"))?;
            Write::Block(id, conditions::expected(&parts.headers)?)
        }
        Some("blocklist") => Write::List(conditions::expected(&parts.headers)?),
        Some(_) => return Err(Refusal::Query("comp")),
    };
    let replace = conditions::replace(&parts.headers)?;
    let exists = hub.uploads().exists(&upload);
    if replace == Replace::No && exists.await.map_err(BlobError::from)? {
        return Err(BlobError::Exists.into());
    }
    let request = UploadRequest::begin(hub, upload.clone()).await?;
    let created = match write {
        Write::Blob(expected) => {
            let (file, received) = request.put((body, expected), replace).await?;
            Created::new(Some(file), Some(received.md5))
        }
        Write::Block(id, expected) => {
            let received = request.put_block(&id, (body, expected)).await?;
            return Ok(Created::new(None, Some(received.md5)));
        }
        Write::List(expected) => {
            let file = request.put_list((body, expected), replace).await?;
            Created::new(Some(file), None)
        }
    };
    tracing::info!(
        hub.name = %upload.hub, device.id = %upload.device, blob = upload.blob(),
        token.permits = ?permission, "a file was uploaded"
    );
    Ok(created)
}

/// What a request writes.
enum Write {
    Blob(Expected),
    Block(BlockId, Expected),
    List(Expected),
}

/// The upload that the token is for, and the proof that it allows writing this blob.
fn admit(hub: &Hub, parts: &Parts) -> Result<(FileUpload, WritePermission), Refusal> {
    let blob = blob_of_path(parts.uri.path()).ok_or(Refusal::NoSuchPath)?;
    let token = BlobSas::parse(parts.uri.query())?;
    let now = hub.now();
    let upload = hub.registry().file_upload(&token.correlation_id, now);
    let upload = upload.map_err(BlobError::from)?;
    let permission = token.verify(&upload.key, &upload.resource(), now)?;
    match upload.blob() == blob {
        true => Ok((upload, permission)),
        false => Err(BlobSasError::Signature.into()),
    }
}

fn require_block_blob(parts: &Parts) -> Result<Expected, Refusal> {
    let kind = parts.headers.get("x-ms-blob-type");
    match kind.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"BlockBlob")) {
        true => Ok(conditions::expected_of_blob(&parts.headers)?),
        false => Err(Refusal::BlobType),
    }
}

/// What was written.
struct Created {
    /// The blob; `None` for a block.
    file: Option<WrittenFile>,
    md5: Option<[u8; 16]>,
}

impl Created {
    fn new(file: Option<WrittenFile>, md5: Option<[u8; 16]>) -> Self {
        Self { file, md5 }
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::CREATED;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.insert(ENCRYPTED, HeaderValue::from_static("false"));
        let mut insert = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        if let Some(md5) = self.md5 {
            let name = HeaderName::from_static(conditions::CONTENT_MD5);
            insert(name, wire::file_upload::md5_text(md5));
        }
        if let Some(file) = self.file {
            insert(ETAG, format!("\"0x{:X}\"", file.modified.ticks()));
            insert(LAST_MODIFIED, file.modified.to_http_date());
        }
        response
    }
}

fn refused(refusal: &Refusal, parts: &Parts, request_id: RequestId) -> Response<Body> {
    let (status, code) = refusal.code();
    let (path, detail) = (parts.uri.path(), error_chain(refusal));
    // The query string holds the token.
    if status == StatusCode::INTERNAL_SERVER_ERROR
        || matches!(refusal, Refusal::Blob(BlobError::NoSpace))
    {
        tracing::error!(request.id = %request_id, path, error = detail, "an upload failed");
    } else {
        tracing::info!(
            request.id = %request_id, path, status = status.as_u16(), error = detail,
            "an upload was refused"
        );
    }
    let text = match status {
        StatusCode::INTERNAL_SERVER_ERROR => "the server failed; its log says why",
        StatusCode::FORBIDDEN => "the token in the query string does not open this blob",
        _ => detail.as_str(),
    };
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code>\
         <Message>{text}</Message></Error>"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    response
}
