//! Uploads of logs and support bundles to a blob container.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use device::{BlobContainer, BlobError, BlobKind, BlobWriter, Trust};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use ids::{Timestamp, error_chain};
use time::format_description::FormatItem;
use time::macros::format_description;
use wire::edge_api::manifest::{LogsContent, LogsEncoding, LogsRequest};

use super::line::LogLine;
use super::logs::{LogJob, LogSource};
use crate::clock;
use crate::provision::assignment::DeviceLocation;
use crate::runtime::ModuleRuntime;

/// The time in the name of a blob.
const MOMENT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]--[hour]-[minute]-[second]");
/// Most lines that are held for `tail`.
const MAX_TAIL: usize = 10_000;

/// Uploads to one container.
#[derive(Debug, Clone)]
pub(super) struct Uploads {
    container: Arc<BlobContainer>,
    location: DeviceLocation,
}

impl Uploads {
    pub(super) fn new(
        sas_url: &str,
        trust: &Trust,
        location: &DeviceLocation,
    ) -> Result<Self, BlobError> {
        Ok(Self {
            container: Arc::new(BlobContainer::new(sas_url, trust)?),
            location: location.clone(),
        })
    }

    /// Uploads each log as a blob of its own.
    pub(super) async fn logs<R: ModuleRuntime>(
        &self,
        source: &LogSource<R>,
        request: &LogsRequest,
        jobs: Vec<LogJob>,
    ) -> Result<(), String> {
        for job in jobs {
            let module = job.module.clone();
            let uploaded = self.log(source, request, &job, clock::now()).await;
            uploaded.map_err(|error| format!("{module}: {error}"))?;
        }
        Ok(())
    }

    async fn log<R: ModuleRuntime>(
        &self,
        source: &LogSource<R>,
        request: &LogsRequest,
        job: &LogJob,
        now: Timestamp,
    ) -> Result<(), String> {
        let extension = match (request.content, request.encoding) {
            (LogsContent::Text, LogsEncoding::None) => "log",
            (LogsContent::Text, LogsEncoding::Gzip) => "log.gz",
            (LogsContent::Json, LogsEncoding::None) => "json",
            (LogsContent::Json, LogsEncoding::Gzip) => "json.gz",
        };
        let kind = BlobKind {
            content_type: match request.content {
                LogsContent::Text => "text/plain",
                LogsContent::Json => "application/json",
            },
            content_encoding: (request.encoding == LogsEncoding::Gzip).then_some("gzip"),
        };
        let name = self.name(job.module.as_str(), extension, now);
        let mut blob = LogBlob::new(self.container.blob(&name, kind), request);
        let mut last = VecDeque::new();
        let most = job
            .filter
            .tail
            .map(|tail| usize::try_from(tail).unwrap_or(MAX_TAIL));
        let module = job.module.as_str();
        let lines = source.lines(job, now).await;
        let mut lines = lines.map_err(|error| error_chain(&error))?;
        while let Some(line) = lines.next().await {
            let line = line.map_err(|error| error_chain(&error))?;
            match most {
                None => blob.line(&line, &self.location, module).await?,
                Some(most) => {
                    last.push_back(line);
                    if last.len() > most.min(MAX_TAIL) {
                        last.pop_front();
                    }
                }
            }
        }
        for line in &last {
            blob.line(line, &self.location, module).await?;
        }
        blob.finish().await
    }

    /// Uploads a support bundle.
    pub(super) async fn bundle(&self, bundle: &[u8]) -> Result<(), String> {
        let kind = BlobKind {
            content_type: "application/zip",
            content_encoding: None,
        };
        let name = self.name("support-bundle", "zip", clock::now());
        let mut blob = self.container.blob(&name, kind);
        blob.write(bundle)
            .await
            .map_err(|error| error_chain(&error))?;
        blob.finish().await.map_err(|error| error_chain(&error))
    }

    fn name(&self, what: &str, extension: &str, now: Timestamp) -> String {
        let DeviceLocation { hub, device_id } = &self.location;
        let moment = now.to_offset_date_time().format(MOMENT).unwrap_or_default();
        format!("{}/{device_id}/{what}-{moment}.{extension}", hub.name())
    }
}

/// A log on its way into a blob.
struct LogBlob<'a> {
    blob: BlobWriter<'a>,
    content: LogsContent,
    compressor: Option<GzEncoder<Vec<u8>>>,
    empty: bool,
}

impl<'a> LogBlob<'a> {
    fn new(blob: BlobWriter<'a>, request: &LogsRequest) -> Self {
        let gzip = request.encoding == LogsEncoding::Gzip;
        Self {
            blob,
            content: request.content,
            compressor: gzip.then(|| GzEncoder::new(Vec::new(), Compression::default())),
            empty: true,
        }
    }

    async fn line(
        &mut self,
        line: &LogLine,
        location: &DeviceLocation,
        module: &str,
    ) -> Result<(), String> {
        let first = std::mem::replace(&mut self.empty, false);
        match self.content {
            LogsContent::Text => self.write(&line.text).await,
            LogsContent::Json => {
                let json = line.to_json(location, module);
                let before = if first { '[' } else { ',' };
                self.write(format!("{before}{json}").as_bytes()).await
            }
        }
    }

    async fn write(&mut self, text: &[u8]) -> Result<(), String> {
        let written = match &mut self.compressor {
            None => self.blob.write(text).await,
            Some(compressor) => {
                // Writing into memory does not fail.
                let _ = compressor.write_all(text);
                let ready = std::mem::take(compressor.get_mut());
                self.blob.write(&ready).await
            }
        };
        written.map_err(|error| error_chain(&error))
    }

    async fn finish(mut self) -> Result<(), String> {
        if self.content == LogsContent::Json {
            let end = if self.empty { "[]" } else { "]" };
            self.write(end.as_bytes()).await?;
        }
        if let Some(compressor) = self.compressor.take() {
            let rest = compressor.finish().map_err(|error| error.to_string())?;
            self.blob
                .write(&rest)
                .await
                .map_err(|error| error_chain(&error))?;
        }
        self.blob
            .finish()
            .await
            .map_err(|error| error_chain(&error))
    }
}
