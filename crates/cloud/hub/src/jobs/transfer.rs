//! Imports and exports: their files, and what both have in common.
//!
//! A container is a folder `HUB/NAME`. A file is written as `HUB/.jobs/ROW.part`, as far as the
//! cursor of the job says, and moved to its container when it is complete.

mod export;
mod import;
mod part;

use std::io;
use std::path::{Path, PathBuf};

use ids::HubName;
use registry::{JobRecord, JobState, TransferCursor};
use tokio::fs::{self, File};
use wire::service_api::transfer_job::{Container, IMPORT_ERRORS, Transfer};

use super::run::StepError;
use crate::service::Hub;

/// Makes the next step of a job.
pub(super) async fn step(hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
    let (transfer, cursor) = read(job)?;
    let target = target(hub, job, &transfer);
    if cursor.complete {
        publish(hub, job, &target, cursor.written).await?;
        let state = JobState::Completing;
        return Ok(hub.registry().end_job(job, state, None).await?);
    }
    let part = part_of(hub, job, &target);
    let cursor = match &transfer {
        Transfer::Import { input, blob, .. } => {
            let file = BlobFile::new(hub, &job.hub, (input, blob.as_str()));
            import::step(hub, job, (&file, part, cursor)).await?
        }
        Transfer::Export { exclude_keys, .. } => {
            export::step(hub, job, (*exclude_keys, part, cursor)).await?
        }
    };
    hub.registry().advance_job(job, cursor.to_text()).await?;
    Ok(())
}

/// What is left of a job that has ended: the errors of an import are of use, half an export is
/// not.
pub(super) async fn end(hub: &Hub, job: &JobRecord) {
    let ended = async {
        let (transfer, cursor) = read(job)?;
        let target = target(hub, job, &transfer);
        let part = part_of(hub, job, &target);
        let is_there = fs::try_exists(&part.path).await;
        match transfer {
            // The job had completed, or had not begun to write.
            _ if !is_there.map_err(|error| part.stopped(&error))? => Ok(()),
            Transfer::Import { .. } => publish(hub, job, &target, cursor.written).await,
            Transfer::Export { .. } => {
                let removed = fs::remove_file(&part.path).await;
                removed.map_err(|error| part.stopped(&error))
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

/// A file of an import or export.
struct BlobFile {
    path: PathBuf,
    /// Its container and blob. Answers have it instead of the path, which only the log has.
    blob: String,
}

impl BlobFile {
    /// The names of containers and blobs are fit for names of files.
    fn new(hub: &Hub, name: &HubName, (container, blob): (&Container, &str)) -> Self {
        let folder = hub.transfers().join(name.as_str());
        Self {
            path: folder.join(&container.name).join(blob),
            blob: format!("{}/{blob}", container.name),
        }
    }

    fn stopped(&self, error: &io::Error) -> StepError {
        let path = self.path.display();
        tracing::warn!(%path, %error, "a file of an import or export cannot be used");
        StepError::Stopped(format!("{}: {error}", self.blob))
    }
}

/// Where the file that a job writes is when it is complete.
fn target(hub: &Hub, job: &JobRecord, transfer: &Transfer) -> BlobFile {
    let blob = match transfer {
        Transfer::Import { output, .. } => (output, IMPORT_ERRORS),
        Transfer::Export { output, blob, .. } => (output, blob.as_str()),
    };
    BlobFile::new(hub, &job.hub, blob)
}

/// Where it is before that.
fn part_of(hub: &Hub, job: &JobRecord, target: &BlobFile) -> BlobFile {
    let folder = hub.transfers().join(job.hub.as_str()).join(".jobs");
    BlobFile {
        path: folder.join(format!("{}.part", job.row)),
        blob: target.blob.clone(),
    }
}

/// Moves the complete file to its container. It may have been moved by a process before this one.
async fn publish(
    hub: &Hub,
    job: &JobRecord,
    target: &BlobFile,
    written: u64,
) -> Result<(), StepError> {
    let part = part_of(hub, job, target);
    let moved = async {
        if let Some(folder) = target.path.parent() {
            fs::create_dir_all(folder).await?;
        }
        match fs::rename(&part.path, &target.path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let found = fs::metadata(&target.path).await?.len();
                if found != written {
                    let lost = format!("{written} bytes were written, {found} are there");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, lost));
                }
            }
            moved => moved?,
        }
        sync_folders(hub, &target.path).await
    };
    moved.await.map_err(|error| target.stopped(&error))
}

/// Brings the names of the folders above a file to the disk, up to that of all hubs.
async fn sync_folders(hub: &Hub, file: &Path) -> io::Result<()> {
    let folders = file.ancestors().skip(1);
    for folder in folders.take_while(|path| path.starts_with(hub.transfers())) {
        File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}
