//! A file that is being written. It becomes a block or a blob when it is complete and on disk, and
//! is deleted otherwise.

use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use md5::{Digest, Md5};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use super::usage::Usage;
use super::{BlobError, is_absent};

/// What a client says of a body that it sends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    pub(crate) md5: Option<[u8; 16]>,
}

/// What came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) md5: [u8; 16],
}

pub(super) struct Part<'u> {
    path: PathBuf,
    usage: &'u Usage,
    correlation_id: String,
    /// Most bytes of this file, and of all that is on its way of its upload.
    max_bytes: u64,
    max_all: u64,
    /// Bytes that it counts for; they count no more when it is dropped.
    bytes: u64,
}

/// Whether a name is that of a part, not of a block.
pub(super) fn is_part(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new("part"))
}

impl<'u> Part<'u> {
    pub(super) fn new(
        path: PathBuf,
        (usage, correlation_id): (&'u Usage, String),
        max_bytes: u64,
    ) -> Self {
        Self {
            path,
            usage,
            correlation_id,
            max_bytes,
            max_all: u64::MAX,
            bytes: 0,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Limits what is on its way of the whole upload, this part included.
    pub(super) fn limit_all(&mut self, bytes: u64) {
        self.max_all = bytes;
    }

    /// Counts bytes before they are written.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), BlobError> {
        let fits = self.bytes.saturating_add(bytes) <= self.max_bytes
            && self.usage.add(&self.correlation_id, bytes, self.max_all);
        if !fits {
            return Err(BlobError::TooLarge(self.max_bytes));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Writes a body; it is on disk then.
    pub(super) async fn receive(
        &mut self,
        mut body: Body,
        expected: Expected,
    ) -> Result<Received, BlobError> {
        if body.size_hint().lower() > self.max_bytes {
            return Err(BlobError::TooLarge(self.max_bytes));
        }
        let mut file = File::create(&self.path).await?;
        let mut digest = Md5::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| match wire::http::is_late(&error) {
                true => BlobError::Late,
                false => BlobError::Interrupted,
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.reserve(data.len() as u64)?;
            digest.update(&data);
            file.write_all(&data).await?;
        }
        let md5 = digest.finalize().into();
        if expected.md5.is_some_and(|expected| expected != md5) {
            return Err(BlobError::Md5);
        }
        file.flush().await?;
        file.sync_all().await?;
        Ok(Received { md5 })
    }

    /// Keeps a part as a block, over one of this name.
    pub(super) async fn keep_as(mut self, block: &Path) -> Result<(), BlobError> {
        let before = match fs::metadata(block).await {
            Ok(before) => before.len(),
            Err(error) if is_absent(&error) => {
                self.usage.add_block(&self.correlation_id)?;
                0
            }
            Err(error) => return Err(error.into()),
        };
        fs::rename(&self.path, block).await?;
        // What counts no more is the block that it replaced.
        self.bytes = before;
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.usage.subtract(&self.correlation_id, self.bytes);
        // It is gone already when it was moved. Any other that stays is deleted with its upload.
        let removed: io::Result<()> = std::fs::remove_file(&self.path);
        drop(removed);
    }
}
