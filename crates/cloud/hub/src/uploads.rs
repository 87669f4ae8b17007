//! Files that devices upload: a folder for each hub and device below one directory. A blob appears
//! whole or not at all; what is on its way is in `.incoming`, in a folder for each upload.

pub(crate) mod blob_api;
pub(crate) mod clean;
mod part;
mod usage;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use ids::Timestamp;
use registry::FileUpload;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use wire::file_upload::{BlockId, MAX_BLOCKS};

use self::part::{Expected, Part, Received};
use self::usage::Usage;

/// The folder of what is on its way.
const INCOMING: &str = ".incoming";

/// Where uploaded files go.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    pub directory: PathBuf,
    /// Most bytes of a file.
    pub max_bytes: u64,
}

/// Why a blob was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("a file has {0} bytes at most")]
    TooLarge(u64),
    #[error("there are {MAX_BLOCKS} blocks of this file already")]
    TooManyBlocks,
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body could not be read")]
    Interrupted,
    #[error("the MD5 digest of the body is not the one of its header")]
    Md5,
    #[error("a block of the list was not uploaded")]
    NoBlock,
    #[error("there is a file or folder of this name already")]
    Exists,
    #[error("the directory of uploaded files cannot be used")]
    Io(#[from] io::Error),
}

/// A file that is complete.
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    pub(crate) modified: Timestamp,
}

/// Whether a file may take the place of one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    Yes,
    No,
}

/// The directory of uploaded files.
pub(crate) struct Uploads {
    options: UploadOptions,
    usage: Usage,
    /// Names of parts begin with it; those of a process before do not.
    process: String,
}

impl Uploads {
    pub(crate) fn new(options: UploadOptions) -> Self {
        Self {
            options,
            usage: Usage::default(),
            process: rest::fresh_guid().simple().to_string(),
        }
    }

    fn incoming(&self) -> PathBuf {
        self.options.directory.join(INCOMING)
    }

    fn incoming_of(&self, upload: &FileUpload) -> PathBuf {
        self.incoming().join(&upload.correlation_id)
    }

    fn target(&self, upload: &FileUpload) -> PathBuf {
        let hub = self.options.directory.join(upload.hub.as_str());
        // The segments of a blob's name may be the names of files.
        hub.join(upload.device.as_str()).join(upload.name.as_str())
    }

    /// The file of an upload, if it is there.
    pub(crate) async fn stored(&self, upload: &FileUpload) -> io::Result<Option<Stored>> {
        match fs::metadata(self.target(upload)).await {
            Ok(found) if found.is_file() => Ok(Some(Stored {
                bytes: found.len(),
                modified: timestamp(found.modified()?),
            })),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the whole file.
    pub(crate) async fn put(
        &self,
        upload: &FileUpload,
        (body, expected): (Body, Expected),
        replace: Replace,
    ) -> Result<Received, BlobError> {
        let mut part = self.new_part(upload).await?;
        // A client that was cut off begins again before its first attempt is given up here.
        part.limit_all(self.options.max_bytes.saturating_mul(2));
        let received = part.receive(body, expected).await?;
        self.publish(part, upload, replace).await?;
        Ok(received)
    }

    /// Keeps a block until the list of blocks names it.
    pub(crate) async fn put_block(
        &self,
        upload: &FileUpload,
        block: &BlockId,
        (body, expected): (Body, Expected),
    ) -> Result<Received, BlobError> {
        let mut part = self.new_part(upload).await?;
        part.limit_all(self.options.max_bytes);
        let received = part.receive(body, expected).await?;
        let target = self.incoming_of(upload).join(block.file_name());
        part.keep_as(&target).await?;
        Ok(received)
    }

    /// Puts the file together from blocks.
    pub(crate) async fn put_list(
        &self,
        upload: &FileUpload,
        blocks: &[BlockId],
        replace: Replace,
    ) -> Result<(), BlobError> {
        let mut part = self.new_part(upload).await?;
        let mut file = File::create(part.path()).await?;
        for block in blocks {
            let block = self.incoming_of(upload).join(block.file_name());
            let mut block = match File::open(block).await {
                Ok(block) => block,
                Err(error) if is_absent(&error) => return Err(BlobError::NoBlock),
                Err(error) => return Err(error.into()),
            };
            part.reserve(block.metadata().await?.len())?;
            tokio::io::copy(&mut block, &mut file).await?;
        }
        file.flush().await?;
        file.sync_all().await?;
        self.publish(part, upload, replace).await
    }

    async fn new_part(&self, upload: &FileUpload) -> io::Result<Part<'_>> {
        let folder = self.incoming_of(upload);
        fs::create_dir_all(&folder).await?;
        self.usage
            .read_once(&upload.correlation_id, &folder)
            .await?;
        let name = format!("{}.{}.part", self.process, rest::fresh_guid().simple());
        let id = upload.correlation_id.clone();
        let path = folder.join(name);
        Ok(Part::new(path, (&self.usage, id), self.options.max_bytes))
    }

    /// Moves a complete file to its place.
    async fn publish(
        &self,
        part: Part<'_>,
        upload: &FileUpload,
        replace: Replace,
    ) -> Result<(), BlobError> {
        let target = self.target(upload);
        let moved = async {
            let mut folders = Vec::new();
            let below = target.ancestors().skip(1);
            folders.extend(below.take_while(|path| path.starts_with(&self.options.directory)));
            if let Some(folder) = folders.first() {
                fs::create_dir_all(folder).await?;
            }
            match replace {
                Replace::Yes => fs::rename(part.path(), &target).await?,
                // The part is deleted when it is dropped.
                Replace::No => fs::hard_link(part.path(), &target).await?,
            }
            // The names of new folders have to be on disk, too.
            for folder in folders {
                File::open(folder).await?.sync_all().await?;
            }
            Ok(())
        };
        moved.await.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists => BlobError::Exists,
            _ => BlobError::Io(error),
        })
    }

    /// Deletes what is on its way of an upload that has ended.
    pub(crate) async fn forget(&self, correlation_id: &str) -> io::Result<()> {
        self.usage.forget(correlation_id);
        match fs::remove_dir_all(self.incoming().join(correlation_id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Also below something that is a file.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// In units of 100 ns; what is before 1970 becomes 1970.
fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ticks(i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX))
}

/// The names of what is in a folder; none when there is no such folder.
async fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut entries = match fs::read_dir(folder).await {
        Err(error) if is_absent(&error) => return Ok(found),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        found.extend(entry.file_name().to_str().map(str::to_owned));
    }
    Ok(found)
}
