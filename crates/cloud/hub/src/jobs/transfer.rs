//! Imports and exports: their files, and what both have in common.
//!
//! A container is a folder `HUB/NAME`. A file is written as `HUB/.jobs/ROW.part`, as far as the
//! cursor of the job says, and moved to its container when it is complete.

mod export;
mod import;

use std::io;
use std::path::{Path, PathBuf};

use ids::HubName;
use registry::{JobRecord, JobState, TransferCursor};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};
use wire::service_api::transfer_job::{Container, IMPORT_ERRORS, Transfer};

use super::run::StepError;
use crate::service::Hub;

/// Makes the next step of a job.
pub(super) async fn step(hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
    let (transfer, cursor) = read(job)?;
    if cursor.complete {
        publish(hub, job, &transfer).await?;
        let state = JobState::Completing;
        return Ok(hub.registry().end_job(job, state, None).await?);
    }
    let cursor = match &transfer {
        Transfer::Import { input, blob, .. } => {
            let file = container(hub, &job.hub, input).join(blob.as_str());
            import::step(hub, job, (&file, cursor)).await?
        }
        Transfer::Export { exclude_keys, .. } => {
            export::step(hub, job, (*exclude_keys, cursor)).await?
        }
    };
    hub.registry().advance_job(job, cursor.to_text()).await?;
    Ok(())
}

/// What is left of a job that has ended: the errors of an import are of use, half an export is
/// not.
pub(super) async fn end(hub: &Hub, job: &JobRecord) {
    let ended = async {
        match read(job)?.0 {
            transfer @ Transfer::Import { .. } => publish(hub, job, &transfer).await,
            Transfer::Export { .. } => {
                let part = part_path(hub, job);
                ignore_absent(fs::remove_file(&part).await).map_err(|error| stopped(&part, &error))
            }
        }
    };
    if let Err(error) = ended.await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            job.id = %job.id,
            "the file of a job that has ended was left where it is"
        );
    }
}

fn read(job: &JobRecord) -> Result<(Transfer, TransferCursor), StepError> {
    let work = wire::lenient::parse(job.work.as_bytes())?;
    let cursor = TransferCursor::parse(&job.cursor).map_err(StepError::Unreadable)?;
    Ok((Transfer::parse(&work)?, cursor))
}

/// Moves the complete file to its container. It may have been moved by a process before this one.
async fn publish(hub: &Hub, job: &JobRecord, transfer: &Transfer) -> Result<(), StepError> {
    let (folder, name) = match transfer {
        Transfer::Import { output, .. } => (output, IMPORT_ERRORS),
        Transfer::Export { output, blob, .. } => (output, blob.as_str()),
    };
    let target = container(hub, &job.hub, folder).join(name);
    let part = part_path(hub, job);
    let moved = async {
        let folders: Vec<&Path> = target
            .ancestors()
            .skip(1)
            .take_while(|path| path.starts_with(hub.transfers()))
            .collect();
        if let Some(folder) = folders.first() {
            fs::create_dir_all(folder).await?;
        }
        ignore_absent(fs::rename(&part, &target).await)?;
        for folder in folders {
            File::open(folder).await?.sync_all().await?;
        }
        Ok(())
    };
    moved.await.map_err(|error| stopped(&target, &error))
}

fn ignore_absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The folder of a container. Its name and those of blobs are fit for names of files.
fn container(hub: &Hub, name: &HubName, container: &Container) -> PathBuf {
    hub.transfers().join(name.as_str()).join(&container.name)
}

fn part_path(hub: &Hub, job: &JobRecord) -> PathBuf {
    let folder = hub.transfers().join(job.hub.as_str()).join(".jobs");
    folder.join(format!("{}.part", job.row))
}

/// The file that a job writes, cut to what its cursor says.
struct Part {
    path: PathBuf,
    file: File,
    written: u64,
}

impl Part {
    async fn open(hub: &Hub, job: &JobRecord, written: u64) -> Result<Self, StepError> {
        let path = part_path(hub, job);
        let opened = async {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).await?;
            }
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let mut file = options.open(&path).await?;
            if file.metadata().await?.len() < written {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut"));
            }
            file.set_len(written).await?;
            file.seek(SeekFrom::End(0)).await?;
            Ok(file)
        };
        match opened.await {
            Ok(file) => Ok(Self {
                path,
                file,
                written,
            }),
            Err(error) => Err(stopped(&path, &error)),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| stopped(&self.path, &error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Returns how long the file is, once that is on disk.
    async fn sync(mut self) -> Result<u64, StepError> {
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|error| stopped(&self.path, &error))?;
        Ok(self.written)
    }
}

fn stopped(path: &Path, error: &io::Error) -> StepError {
    StepError::Stopped(format!("{}: {error}", path.display()))
}
