//! Files that devices upload: a folder for each hub and device below one directory. A blob appears
//! whole or not at all; what is on its way is in `.incoming`, in a folder for each upload.

pub(crate) mod blob_api;
pub(crate) mod clean;
mod error;
mod folders;
mod open;
mod part;
mod request;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::FileUpload;
use tokio::fs;
use tokio::sync::Semaphore;

use self::open::{OpenUploads, Turn};

/// The folder of what is on its way.
const INCOMING: &str = ".incoming";
/// Lists of blocks that are worked on at once, of all uploads together.
const MAX_LISTS: usize = 4;

/// Where uploaded files go.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    pub directory: PathBuf,
    /// Most bytes of a file.
    pub max_bytes: u64,
    /// Bytes of the file system that uploads leave free.
    pub min_free: u64,
}

impl UploadOptions {
    /// Makes the directory, and tries what uploads do in it.
    ///
    /// # Errors
    /// When it cannot be written, is more than one file system, or has no hard links.
    pub fn prepare(&self) -> io::Result<()> {
        folders::probe(&self.directory)
    }
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
    open: OpenUploads,
    lists: Arc<Semaphore>,
    /// Names of parts begin with it; those of a process before do not.
    process: String,
}

impl Uploads {
    pub(crate) fn new(options: UploadOptions) -> Self {
        Self {
            options,
            open: OpenUploads::default(),
            lists: Arc::new(Semaphore::new(MAX_LISTS)),
            process: rest::fresh_guid().simple().to_string(),
        }
    }

    fn incoming(&self) -> PathBuf {
        self.options.directory.join(INCOMING)
    }

    fn incoming_of(&self, correlation_id: &str) -> PathBuf {
        self.incoming().join(correlation_id)
    }

    fn target(&self, upload: &FileUpload) -> PathBuf {
        let hub = self.options.directory.join(upload.hub.as_str());
        // The segments of a blob's name may be the names of files.
        hub.join(upload.device.as_str()).join(upload.name.as_str())
    }

    /// Whether the file system of a file has the free bytes that uploads leave.
    pub(crate) fn leaves_space(&self, path: &Path) -> io::Result<bool> {
        folders::has_space(path, self.options.min_free)
    }

    /// Whether the file of an upload is there.
    async fn exists(&self, upload: &FileUpload) -> io::Result<bool> {
        match fs::metadata(self.target(upload)).await {
            Ok(found) => Ok(found.is_file()),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until no request changes the files of an upload. None does before the turn ends.
    pub(crate) async fn turn(&self, correlation_id: &str) -> Turn {
        self.open.get(correlation_id).turn().await
    }

    /// Deletes what is on its way of an upload that has ended, in a turn of its own. What its
    /// requests still receive is refused.
    pub(crate) async fn forget(&self, correlation_id: &str, turn: Turn) -> io::Result<()> {
        self.open.end(correlation_id);
        let removed = match fs::remove_dir_all(self.incoming_of(correlation_id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        drop(turn);
        removed
    }
}

/// Also below something that is a file.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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
