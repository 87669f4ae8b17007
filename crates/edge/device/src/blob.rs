//! Uploads to a container of Azure's blob storage, or of a server with the same requests, by the URL
//! of a shared access signature.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use hyper::Method;
use hyper::header::{CONTENT_ENCODING, HeaderName};
use ids::HubHost;
use wire::http::encode_segment;

use crate::https::Content;
use crate::provision::excerpt;
use crate::{HttpsClient, HttpsError, Trust};

/// The size of a block, and of the largest blob that is sent at once, bytes.
const BLOCK: usize = 1024 * 1024;
/// Most blocks of a blob.
const MAX_BLOCKS: usize = 50_000;
/// Attempts of each request.
const ATTEMPTS: usize = 3;
const VERSION: &str = "2020-04-08";

const X_MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const X_MS_BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const X_MS_BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const X_MS_BLOB_CONTENT_ENCODING: HeaderName =
    HeaderName::from_static("x-ms-blob-content-encoding");

/// Why an upload failed. The messages leave the signature of the URL out.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("sasUrl is not https://HOST/CONTAINER?SIGNATURE")]
    Url,
    #[error("the blob storage cannot be asked")]
    Connection(#[from] HttpsError),
    #[error("the blob storage refused {what} with {status}: {message}")]
    Refused {
        what: &'static str,
        status: u16,
        message: String,
    },
    #[error("the blob is larger than {} bytes", MAX_BLOCKS * BLOCK)]
    TooLarge,
}

/// A container that the URL lets write into.
pub struct BlobContainer {
    client: HttpsClient,
    path: String,
    /// The signature. It is secret.
    query: String,
}

impl fmt::Debug for BlobContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BlobContainer({}{}, redacted)",
            self.client.host(),
            self.path
        )
    }
}

/// The headers that a blob keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobKind {
    pub content_type: &'static str,
    pub content_encoding: Option<&'static str>,
}

impl BlobContainer {
    /// # Errors
    /// When `sas_url` is not the `https` URL of a container with a signature.
    pub fn new(sas_url: &str, trust: &Trust) -> Result<Self, BlobError> {
        let scheme = "https://";
        let rest = match sas_url.trim().split_at_checked(scheme.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => rest,
            _ => return Err(BlobError::Url),
        };
        let (address, query) = rest.split_once('?').ok_or(BlobError::Url)?;
        let (host, path) = address.split_once('/').ok_or(BlobError::Url)?;
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let path = path.trim_matches('/');
        if path.is_empty() || query.is_empty() || !printable(path) || !printable(query) {
            return Err(BlobError::Url);
        }
        let host = HubHost::parse(host).map_err(|_| BlobError::Url)?;
        Ok(Self {
            client: HttpsClient::without_credential(host, trust),
            path: format!("/{path}"),
            query: query.split('#').next().unwrap_or_default().to_owned(),
        })
    }

    /// Begins a blob. It does not exist before [`BlobWriter::finish`] has succeeded. The parts of
    /// `name` between slashes are encoded.
    #[must_use]
    pub fn blob(&self, name: &str, kind: BlobKind) -> BlobWriter<'_> {
        let segments: Vec<String> = name.split('/').map(encode_segment).collect();
        BlobWriter {
            container: self,
            path: format!("{}/{}", self.path, segments.join("/")),
            kind,
            unsent: BytesMut::new(),
            blocks: Vec::new(),
        }
    }

    async fn put(
        &self,
        what: &'static str,
        target: &str,
        headers: &[(HeaderName, &str)],
        body: &Content,
    ) -> Result<(), BlobError> {
        let mut attempt = 1;
        loop {
            let sent = self
                .client
                .send_content(Method::PUT, target, Some(body.clone()), headers)
                .await;
            let error = match sent {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(answer) => BlobError::Refused {
                    what,
                    status: answer.status,
                    message: excerpt(&answer.body),
                },
                Err(error) => error.into(),
            };
            let final_answer =
                matches!(error, BlobError::Refused { status, .. } if status < 500 && status != 429);
            if attempt == ATTEMPTS || final_answer {
                return Err(error);
            }
            tokio::time::sleep(crate::backoff::retry_pause(
                std::time::Duration::from_secs(1 << attempt),
                rand::random(),
            ))
            .await;
            attempt += 1;
        }
    }
}

/// A blob on its way, sent in blocks so that little of it is held.
#[derive(Debug)]
pub struct BlobWriter<'a> {
    container: &'a BlobContainer,
    path: String,
    kind: BlobKind,
    unsent: BytesMut,
    /// The ids of the blocks that were sent.
    blocks: Vec<String>,
}

impl BlobWriter<'_> {
    /// Adds bytes at the end.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.unsent.extend_from_slice(bytes);
        while self.unsent.len() > BLOCK {
            let block = self.unsent.split_to(BLOCK).freeze();
            self.put_block(block).await?;
        }
        Ok(())
    }

    /// Makes the blob.
    pub async fn finish(mut self) -> Result<(), BlobError> {
        let rest = self.unsent.split().freeze();
        if !self.blocks.is_empty() {
            if !rest.is_empty() {
                self.put_block(rest).await?;
            }
            return self.commit().await;
        }
        let target = format!("{}?{}", self.path, self.container.query);
        let mut headers = vec![(X_MS_VERSION, VERSION), (X_MS_BLOB_TYPE, "BlockBlob")];
        let encoding = self.kind.content_encoding;
        headers.extend(encoding.map(|encoding| (CONTENT_ENCODING, encoding)));
        let content = Content {
            media_type: self.kind.content_type,
            bytes: rest,
        };
        self.container
            .put("a blob", &target, &headers, &content)
            .await
    }

    async fn put_block(&mut self, block: Bytes) -> Result<(), BlobError> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(BlobError::TooLarge);
        }
        let id = STANDARD.encode(format!("{:08}", self.blocks.len()));
        let (path, query) = (&self.path, &self.container.query);
        let id_in_query = encode_segment(&id);
        let target = format!("{path}?comp=block&blockid={id_in_query}&{query}");
        let headers = [(X_MS_VERSION, VERSION)];
        let content = Content {
            media_type: "application/octet-stream",
            bytes: block,
        };
        self.container
            .put("a block", &target, &headers, &content)
            .await?;
        self.blocks.push(id);
        Ok(())
    }

    async fn commit(&self) -> Result<(), BlobError> {
        let mut list = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for id in &self.blocks {
            list.push_str("<Latest>");
            list.push_str(id);
            list.push_str("</Latest>");
        }
        list.push_str("</BlockList>");
        let target = format!("{}?comp=blocklist&{}", self.path, self.container.query);
        let mut headers = vec![
            (X_MS_VERSION, VERSION),
            (X_MS_BLOB_CONTENT_TYPE, self.kind.content_type),
        ];
        let encoding = self.kind.content_encoding;
        headers.extend(encoding.map(|encoding| (X_MS_BLOB_CONTENT_ENCODING, encoding)));
        let content = Content {
            media_type: "application/xml",
            bytes: Bytes::from(list),
        };
        self.container
            .put("a list of blocks", &target, &headers, &content)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(url: &str) -> Result<BlobContainer, BlobError> {
        BlobContainer::new(url, &Trust::only(&[]).unwrap())
    }

    /// A client that has the URL may write.
    #[test]
    fn the_signature_is_in_no_message() {
        let container = container("HTTPS://store.example/logs/?sv=1&sig=hunter2").unwrap();
        assert_eq!(container.path, "/logs");
        assert!(!format!("{container:?}").contains("hunter2"));
        let kind = BlobKind {
            content_type: "text/plain",
            content_encoding: None,
        };
        let blob = container.blob("hub/d 1/m.log", kind);
        assert_eq!(blob.path, "/logs/hub/d%201/m.log");
        assert!(!format!("{blob:?}").contains("hunter2"));
    }

    #[test]
    fn urls_without_https_container_or_signature_are_refused() {
        for url in [
            "http://store.example/logs?sig=1",
            "https://store.example/logs",
            "https://store.example/logs?",
            "https://store.example?sig=1",
            "https://store.example/?sig=1",
            "https:///logs?sig=1",
            "https://store.example/lo gs?sig=1",
            "store",
            "",
        ] {
            let error = container(url).unwrap_err();
            assert!(matches!(error, BlobError::Url), "{url}: {error:?}");
        }
    }
}
