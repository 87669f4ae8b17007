//! What the headers of a request to the blob endpoint demand.

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;
use wire::file_upload::md5_of_text;

use crate::uploads::Replace;
use crate::uploads::part::Expected;

pub(super) const CONTENT_MD5: &str = "content-md5";
/// The digest that is kept with a blob in Azure; there, too, it is compared with the body.
const BLOB_MD5: &str = "x-ms-blob-content-md5";
/// Headers that would make a request fail, or change what is stored. They are refused, because they
/// are not obeyed.
const NOT_OFFERED: [&str; 9] = [
    "x-ms-content-crc64",
    "x-ms-structured-body",
    "x-ms-lease-id",
    "x-ms-if-tags",
    "x-ms-immutability-policy-until-date",
    "x-ms-encryption-key",
    "if-match",
    "if-modified-since",
    "if-unmodified-since",
];

#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("an MD5 digest is not 16 bytes in base64")]
    Md5,
    #[error("the header {0} is not offered")]
    NotOffered(&'static str),
}

/// The digest of the body.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, HeaderError> {
    let mut refused = NOT_OFFERED.into_iter();
    if let Some(name) = refused.find(|name| headers.contains_key(*name)) {
        return Err(HeaderError::NotOffered(name));
    }
    let md5 = md5(headers, CONTENT_MD5)?;
    Ok(Expected { md5 })
}

/// The same of a body that is the whole blob.
pub(super) fn expected_of_blob(headers: &HeaderMap) -> Result<Expected, HeaderError> {
    let Expected { md5: body } = expected(headers)?;
    let md5 = md5(headers, BLOB_MD5)?.or(body);
    Ok(Expected { md5 })
}

/// A client that says `If-None-Match: *` writes over no file.
pub(super) fn replace(headers: &HeaderMap) -> Result<Replace, HeaderError> {
    match headers.get(IF_NONE_MATCH) {
        None => Ok(Replace::Yes),
        Some(value) if value == "*" => Ok(Replace::No),
        Some(_) => Err(HeaderError::NotOffered("if-none-match")),
    }
}

fn md5(headers: &HeaderMap, name: &str) -> Result<Option<[u8; 16]>, HeaderError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let digest = value.to_str().ok().and_then(md5_of_text);
    digest.map(Some).ok_or(HeaderError::Md5)
}
