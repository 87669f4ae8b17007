//! Carries out the lines of a file, some at a time. After a crash the lines of the last batch are
//! carried out again: which of them had been is not known.

use std::io;
use std::path::Path;

use futures_util::future::join_all;
use ids::Timestamp;
use registry::{IdentityError, JobRecord, Registry, TransferCursor, TwinError};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader, SeekFrom};
use wire::service_api::import_device::{ImportDevice, ImportError};

use super::super::run::StepError;
use super::BlobFile;
use super::part::Part;
use crate::error::HubError;
use crate::import_view;
use crate::service::Hub;

/// Lines that are on their way to the writer at once.
const BATCH: usize = 64;
/// Bytes of a batch after which no other line is added.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Longest line: an identity with tags and both halves of a twin, each as long as it may be.
const MAX_LINE: u64 = 2 * 1024 * 1024;

/// Carries out the next lines; where the job is then.
pub(super) async fn step(
    hub: &Hub,
    job: &JobRecord,
    (input, part, mut cursor): (&BlobFile, BlobFile, TransferCursor),
) -> Result<TransferCursor, StepError> {
    let batch = read_batch(&input.path, cursor.read).await;
    let batch = batch.map_err(|error| input.stopped(&error))?;
    let mut part = Part::open(hub, part, cursor.written).await?;
    let now = hub.now();
    let registry = match job.actor(now) {
        Some(actor) => hub.registry().by(actor),
        None => hub.registry().clone(),
    };
    let outcomes = batch.lines.iter();
    let outcomes = outcomes.map(|line| carry_out(&registry, job, line.as_deref(), now));
    // The units reach the writer in this order.
    let errors = join_all(outcomes).await;
    for error in errors {
        let Some(error) = error? else {
            continue;
        };
        let line = serde_json::to_string(&error).unwrap_or_default();
        part.write(format!("{line}\n").as_bytes()).await?;
    }
    cursor.written = part.sync().await?;
    cursor.read = batch.end;
    cursor.total = batch.total;
    cursor.complete = batch.at_end;
    Ok(cursor)
}

struct Batch {
    /// `None` stands for a line that is too long.
    lines: Vec<Option<Vec<u8>>>,
    /// Where the next batch begins.
    end: u64,
    /// The size of the file.
    total: u64,
    /// Whether it has no more lines.
    at_end: bool,
}

/// Reads lines from a place in the file. Blank ones are left out: a batch without lines need not
/// be the last.
async fn read_batch(path: &Path, start: u64) -> io::Result<Batch> {
    let mut file = File::open(path).await?;
    let total = file.metadata().await?.len();
    file.seek(SeekFrom::Start(start)).await?;
    let mut file = BufReader::new(file);
    let (mut lines, mut end, mut at_end) = (Vec::new(), start, false);
    while lines.len() < BATCH && end - start < BATCH_BYTES {
        let mut line = Vec::new();
        let read = (&mut file)
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut line)
            .await? as u64;
        if read == 0 {
            at_end = true;
            break;
        }
        end += read;
        if read > MAX_LINE && line.last() != Some(&b'\n') {
            end += skip_line(&mut file).await?;
            lines.push(None);
        } else if !line.trim_ascii().is_empty() {
            lines.push(Some(line));
        }
    }
    Ok(Batch {
        lines,
        end,
        total,
        at_end,
    })
}

/// Reads to the end of a line; how many bytes that were.
async fn skip_line(file: &mut BufReader<File>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let found = file.fill_buf().await?;
        let line_end = found.iter().position(|byte| *byte == b'\n');
        let length = line_end.map_or(found.len(), |at| at + 1);
        file.consume(length);
        skipped += length as u64;
        if line_end.is_some() || length == 0 {
            return Ok(skipped);
        }
    }
}

/// What `importErrors.log` says of the line, if it could not be carried out. When the storage
/// fails, the line is carried out again later.
async fn carry_out(
    registry: &Registry,
    job: &JobRecord,
    line: Option<&[u8]>,
    now: Timestamp,
) -> Result<Option<ImportError>, StepError> {
    let nobody = || (String::new(), String::new());
    let Some(line) = line else {
        let text = format!("a line has over {MAX_LINE} bytes");
        let error = HubError::Bad(text);
        return Ok(Some(import_view::failed(nobody(), &error, None)));
    };
    let value = match wire::lenient::parse_exactly(line) {
        Ok(value) => value,
        Err(error) => return Ok(Some(import_view::failed(nobody(), &error.into(), None))),
    };
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let id = (text("id"), text("moduleId"));
    let item = match ImportDevice::parse(&value) {
        Ok(item) => item,
        Err(error) => return Ok(Some(import_view::failed(id, &error.into(), None))),
    };
    let operation = item.mode.name();
    match registry.import(&job.hub, item, now).await {
        Ok(()) => Ok(None),
        Err(
            registry::ImportError::Identity(IdentityError::Storage(error))
            | registry::ImportError::Twin(TwinError::Storage(error)),
        ) if !error.is_damaged() => Err(error.into()),
        Err(error) => {
            let error = HubError::from(error);
            Ok(Some(import_view::failed(id, &error, Some(operation))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_in_batches_that_go_on_where_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.txt");
        let long = "x".repeat(usize::try_from(MAX_LINE).unwrap() + 10);
        let mut text = format!("a\n\n  \r\nb\r\n{long}\nc");
        std::fs::write(&path, &text).unwrap();
        let batch = read_batch(&path, 0).await.unwrap();
        let line = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(batch.lines, [line("a\n"), line("b\r\n"), None, line("c")]);
        assert_eq!(
            (batch.end, batch.total),
            (text.len() as u64, text.len() as u64)
        );
        assert!(batch.at_end);
        assert!(read_batch(&path, batch.end).await.unwrap().lines.is_empty());
        text = "d\n".repeat(BATCH + 1);
        std::fs::write(&path, &text).unwrap();
        let first = read_batch(&path, 0).await.unwrap();
        assert_eq!((first.lines.len(), first.at_end), (BATCH, false));
        assert_eq!(read_batch(&path, first.end).await.unwrap().lines.len(), 1);
        assert!(read_batch(&folder.path().join("none"), 0).await.is_err());
    }

    #[tokio::test]
    async fn a_batch_of_blank_lines_is_not_the_end_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.txt");
        let blank = " ".repeat(64 * 1024 - 1) + "\n";
        let lines = usize::try_from(BATCH_BYTES).unwrap() / blank.len();
        std::fs::write(&path, blank.repeat(lines) + "a\n").unwrap();
        let first = read_batch(&path, 0).await.unwrap();
        assert_eq!((first.lines.len(), first.at_end), (0, false));
        let last = read_batch(&path, first.end).await.unwrap();
        assert_eq!(last.lines, [Some(b"a\n".to_vec())]);
        assert!(last.at_end);
    }
}
