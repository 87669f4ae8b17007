//! A file that is being written. It becomes a block or a blob when it is complete and on disk, and
//! is deleted otherwise.

use std::ffi::OsStr;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use md5::{Digest, Md5};
use registry::UploadError;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::error::BlobError;
use super::folders;
use super::open::OpenUpload;

/// How long a client may send nothing.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Bytes after which the free space is looked at again.
const LOOK_EVERY: u64 = 8 * 1024 * 1024;

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

/// How much a part may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most bytes of this file.
    pub(super) max_bytes: u64,
    /// Most bytes of all that is on its way of its upload, this part included.
    pub(super) max_all: u64,
    /// Bytes that stay free.
    pub(super) min_free: u64,
}

pub(super) struct Part {
    path: PathBuf,
    open: Arc<OpenUpload>,
    limits: Limits,
    /// Bytes that it counts for; they count no more when it is dropped.
    bytes: u64,
    /// Bytes since the free space was looked at.
    since_look: u64,
}

/// Whether a name is that of a part, not of a block.
pub(super) fn is_part(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new("part"))
}

impl Part {
    pub(super) fn new(path: PathBuf, open: Arc<OpenUpload>, limits: Limits) -> Self {
        Self {
            path,
            open,
            limits,
            bytes: 0,
            since_look: LOOK_EVERY,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Counts bytes before they are written.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), BlobError> {
        let Limits {
            max_bytes, max_all, ..
        } = self.limits;
        if self.bytes.saturating_add(bytes) > max_bytes {
            return Err(BlobError::TooLarge(max_bytes));
        }
        self.open.reserve(bytes, max_all)?;
        self.bytes += bytes;
        self.since_look = self.since_look.saturating_add(bytes);
        if self.since_look >= LOOK_EVERY {
            let space = folders::require_space(&self.path, self.limits.min_free);
            space.map_err(ended_if_absent)?;
            self.since_look = 0;
        }
        Ok(())
    }

    /// Its file, empty.
    fn create(&self) -> Result<File, BlobError> {
        let created = folders::create(&self.path);
        created.map_err(|error| ended_if_absent(error.into()))
    }

    /// What it has received.
    pub(super) fn read(&self) -> Result<Vec<u8>, BlobError> {
        let read = std::fs::read(&self.path);
        read.map_err(|error| ended_if_absent(error.into()))
    }

    /// Writes a body; it is on disk then.
    pub(super) async fn receive(
        &mut self,
        mut body: Body,
        expected: Expected,
    ) -> Result<Received, BlobError> {
        if body.size_hint().lower() > self.limits.max_bytes {
            return Err(BlobError::TooLarge(self.limits.max_bytes));
        }
        let mut file = tokio::fs::File::from_std(self.create()?);
        let mut digest = Md5::new();
        loop {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = timeout(MAX_IDLE, frame).await;
            let Some(frame) = frame.map_err(|_| BlobError::Late)? else {
                break;
            };
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

    /// Writes the blocks of a folder one after the other; they are on disk then.
    pub(super) fn join<'n>(
        &mut self,
        folder: &Path,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<(), BlobError> {
        let mut file = self.create()?;
        for name in names {
            let mut block = File::open(folder.join(name)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BlobError::NoBlock,
                _ => error.into(),
            })?;
            let bytes = block.metadata()?.len();
            self.reserve(bytes)?;
            let needed = self.limits.min_free.saturating_add(bytes);
            folders::require_space(&self.path, needed).map_err(ended_if_absent)?;
            io::copy(&mut block, &mut file)?;
        }
        file.sync_all()?;
        Ok(())
    }

    /// Keeps a part as a block, over one of this name, in a turn of its upload. All blocks together
    /// have the bytes of a file at most.
    pub(super) fn keep_as(mut self, folder: &Path, name: &str) -> Result<(), BlobError> {
        let block = folder.join(name);
        let before = match std::fs::metadata(&block) {
            Ok(before) => Some(before.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        self.open.keep(self.bytes, before, self.limits.max_bytes)?;
        let moved = std::fs::rename(&self.path, &block).and_then(|()| folders::sync(folder));
        if moved.is_err() {
            self.open.count(folder)?;
        } else {
            self.open.release(std::mem::take(&mut self.bytes));
        }
        Ok(moved?)
    }
}

/// A part and its folder are deleted when their upload ends.
fn ended_if_absent(error: BlobError) -> BlobError {
    match error {
        BlobError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            UploadError::Unknown.into()
        }
        other => other,
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.open.release(self.bytes);
        // It is gone already when it was moved. Any other that stays is deleted with its upload.
        let removed: io::Result<()> = std::fs::remove_file(&self.path);
        drop(removed);
    }
}
