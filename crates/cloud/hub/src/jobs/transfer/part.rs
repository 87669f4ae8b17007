//! The file that a job writes.

use std::io;

use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};

use super::super::run::StepError;
use super::{BlobFile, sync_folders};
use crate::service::Hub;

/// Bytes that are written between two looks at the free space.
const LOOK_EVERY: u64 = 4 * 1024 * 1024;

/// A file that is written, cut to what the cursor of its job says.
pub(super) struct Part<'a> {
    hub: &'a Hub,
    blob_file: BlobFile,
    file: File,
    written: u64,
    since_look: u64,
}

impl<'a> Part<'a> {
    pub(super) async fn open(
        hub: &'a Hub,
        blob_file: BlobFile,
        written: u64,
    ) -> Result<Self, StepError> {
        let opened = open(hub, &blob_file, written).await;
        let part = Self {
            hub,
            file: opened.map_err(|error| blob_file.stopped(&error))?,
            blob_file,
            written,
            since_look: 0,
        };
        part.require_space()?;
        Ok(part)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        let length = bytes.len() as u64;
        self.since_look += length;
        if self.since_look >= LOOK_EVERY {
            self.require_space()?;
            self.since_look = 0;
        }
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| self.blob_file.stopped(&error))?;
        self.written += length;
        Ok(())
    }

    /// As much stays free as uploads leave, so that the database goes on.
    fn require_space(&self) -> Result<(), StepError> {
        let leaves_space = self.hub.uploads().leaves_space(&self.blob_file.path);
        match leaves_space.map_err(|error| self.blob_file.stopped(&error))? {
            true => Ok(()),
            false => {
                let cause = "the file system of imports and exports has too little free space";
                Err(self
                    .blob_file
                    .stopped(&io::Error::new(io::ErrorKind::StorageFull, cause)))
            }
        }
    }

    /// Returns how long the file is, once that is on disk.
    pub(super) async fn sync(mut self) -> Result<u64, StepError> {
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced
            .await
            .map_err(|error| self.blob_file.stopped(&error))?;
        Ok(self.written)
    }
}

async fn open(hub: &Hub, blob_file: &BlobFile, written: u64) -> io::Result<File> {
    if let Some(folder) = blob_file.path.parent() {
        fs::create_dir_all(folder).await?;
    }
    let is_new = !fs::try_exists(&blob_file.path).await?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let mut file = options.open(&blob_file.path).await?;
    if is_new {
        sync_folders(hub, &blob_file.path).await?;
    }
    let found = file.metadata().await?.len();
    if found < written {
        let lost = format!("{written} bytes were written, {found} are there");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, lost));
    }
    file.set_len(written).await?;
    file.seek(SeekFrom::End(0)).await?;
    Ok(file)
}
