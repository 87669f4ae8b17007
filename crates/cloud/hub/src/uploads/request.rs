//! A request that writes to an upload. What it received counts once it has looked again, in a turn
//! of its upload, whether the upload is still open.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use registry::{FileUpload, UploadError, WrittenFile};
use tokio::time::timeout;
use wire::file_upload::{BlockId, parse_block_list};

use super::error::BlobError;
use super::open::{Counted, OpenUpload, RequestPermit, Turn};
use super::part::{Expected, Limits, Part, Received, is_part};
use super::{Replace, Uploads, folders};
use crate::service::Hub;

/// Bytes of the longest list of blocks.
const MAX_LIST: u64 = 8 * 1024 * 1024;
/// How long a list of blocks may take to arrive.
const LIST_DEADLINE: Duration = Duration::from_secs(50);

pub(super) struct UploadRequest {
    hub: Hub,
    upload: FileUpload,
    open: Arc<OpenUpload>,
    place: RequestPermit,
}

/// The file that becomes the blob, and the blocks that it was made of.
struct Complete {
    part: Part,
    blocks: Option<HashSet<String>>,
}

impl UploadRequest {
    /// Begins a request to an upload that is open.
    pub(super) async fn begin(hub: &Hub, upload: FileUpload) -> Result<Self, BlobError> {
        let open = hub.uploads().open.get(&upload.correlation_id);
        let place = open.place()?;
        let request = Self {
            hub: hub.clone(),
            upload,
            open,
            place,
        };
        request.prepare().await?;
        Ok(request)
    }

    async fn prepare(&self) -> Result<(), BlobError> {
        let folder = self.folder();
        let open = self.open.clone();
        self.in_turn(move |turn, _| {
            folders::make(&folder)?;
            if **turn == Counted::No {
                open.count(&folder)?;
                **turn = Counted::Yes;
            }
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Changes the files of the upload, if it is still open. The turn goes on.
    async fn in_turn<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Turn, &Uploads) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<(T, Turn), BlobError> {
        let mut turn = self.open.turn().await;
        let (hub, upload, place) = (self.hub.clone(), self.upload.clone(), self.place.clone());
        blocking(move || {
            let _place = place;
            let uploads = hub.uploads();
            let found = hub
                .registry()
                .file_upload(&upload.correlation_id, hub.now());
            if matches!(found, Err(UploadError::Unknown)) {
                uploads.open.end(&upload.correlation_id);
            }
            found?;
            let changed = change(&mut turn, uploads)?;
            Ok((changed, turn))
        })
        .await
    }

    fn folder(&self) -> PathBuf {
        self.hub.uploads().incoming_of(&self.upload.correlation_id)
    }

    /// A new file; all that is on its way of the upload is `files` times the largest file at most.
    fn new_part(&self, max_bytes: u64, files: u64) -> Part {
        let uploads = self.hub.uploads();
        let guid = rest::fresh_guid();
        let name = format!("{}.{}.part", uploads.process, guid.simple());
        let limits = Limits {
            max_bytes,
            max_all: uploads.options.max_bytes.saturating_mul(files),
            min_free: uploads.options.min_free,
        };
        Part::new(self.folder().join(name), self.open.clone(), limits)
    }

    fn max_bytes(&self) -> u64 {
        self.hub.uploads().options.max_bytes
    }

    /// Writes the whole file.
    pub(super) async fn put(
        &self,
        (body, expected): (Body, Expected),
        replace: Replace,
    ) -> Result<(WrittenFile, Received), BlobError> {
        // A client that was cut off begins again before its first attempt is given up here.
        let mut part = self.new_part(self.max_bytes(), 2);
        let received = part.receive(body, expected).await?;
        let blocks = None;
        let file = self.publish(Complete { part, blocks }, replace).await?;
        Ok((file, received))
    }

    /// Keeps a block until the list of blocks names it.
    pub(super) async fn put_block(
        &self,
        block: &BlockId,
        (body, expected): (Body, Expected),
    ) -> Result<Received, BlobError> {
        // A block of a large file may be sent again.
        let mut part = self.new_part(self.max_bytes(), 2);
        let received = part.receive(body, expected).await?;
        let (folder, name) = (self.folder(), block.file_name());
        self.in_turn(move |_, _| part.keep_as(&folder, &name))
            .await?;
        Ok(received)
    }

    /// Puts the file together from blocks.
    pub(super) async fn put_list(
        &self,
        (body, expected): (Body, Expected),
        replace: Replace,
    ) -> Result<WrittenFile, BlobError> {
        let one = self.open.list()?;
        let mut list = self.new_part(MAX_LIST, u64::MAX);
        let received = timeout(LIST_DEADLINE, list.receive(body, expected)).await;
        received.map_err(|_| BlobError::Late)??;
        let of_all = self.hub.uploads().lists.clone().acquire_owned().await;
        // The blocks, what is sent again meanwhile, and the file.
        let (mut part, folder) = (self.new_part(self.max_bytes(), 3), self.folder());
        let place = self.place.clone();
        let (complete, permits) = blocking(move || {
            let ids = parse_block_list(&list.read()?)?;
            drop(list);
            let names: Vec<String> = ids.iter().map(BlockId::file_name).collect();
            part.join(&folder, names.iter())?;
            let blocks = Some(names.into_iter().collect());
            Ok((Complete { part, blocks }, (one, of_all, place)))
        })
        .await?;
        let file = self.publish(complete, replace).await;
        drop(permits);
        file
    }

    /// Moves a complete file to its place, and enters it.
    async fn publish(&self, file: Complete, replace: Replace) -> Result<WrittenFile, BlobError> {
        let (folder, open) = (self.folder(), self.open.clone());
        let target = self.hub.uploads().target(&self.upload);
        let written = self.in_turn(move |_, uploads| {
            let Complete { part, blocks } = file;
            let place = (uploads.options.directory.as_path(), target.as_path());
            let written = folders::publish(part.path(), place, replace)?;
            if let Some(blocks) = blocks {
                // The file is in its place. Blocks that stay are deleted with the upload.
                if let Err(error) = delete_others(&folder, &blocks) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "blocks of an uploaded file were not deleted now");
                }
                open.count(&folder)?;
            }
            Ok(written)
        });
        let (written, turn) = written.await?;
        let (registry, now) = (self.hub.registry(), self.hub.now());
        let entered = registry.enter_written_file(&self.upload, written, now);
        entered.await?;
        drop(turn);
        Ok(written)
    }
}

/// Deletes the blocks that a list does not name. The others stay for a client that did not get the
/// answer, and sends its list again.
fn delete_others(folder: &Path, named: &HashSet<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stays = is_part(&name) || name.to_str().is_none_or(|name| named.contains(name));
        if !stays {
            std::fs::remove_file(folder.join(&name))?;
        }
    }
    Ok(())
}

/// Work on the disk. It goes on when the request that began it is cut off.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BlobError::Io(io::Error::other(error)))?
}
