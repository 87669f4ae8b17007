use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::frame::{self, HEADER};
use super::segment::{Segment, Tail};
use super::{LogOptions, Segments};
use crate::StoreError;

/// Most records of one fdatasync; what arrives meanwhile waits for the next.
const GROUP: usize = 1024;

/// A record on its way to the disk.
pub(crate) struct Append {
    pub(crate) payload: Vec<u8>,
    pub(crate) caller: oneshot::Sender<Result<u64, StoreError>>,
}

/// The writer of a log: one thread. Writes what is queued, syncs once, answers.
pub(crate) struct LogWriter {
    directory: Arc<Path>,
    options: LogOptions,
    segments: Segments,
    current: Option<Arc<Segment>>,
    tail: Tail,
    queue: mpsc::Receiver<Append>,
    durable: watch::Sender<u64>,
    /// Set when a sync failed: what the disk holds is unknown then, and only opening again finds out.
    broken: Option<StoreError>,
}

impl LogWriter {
    pub(crate) fn new(
        directory: Arc<Path>,
        options: LogOptions,
        segments: Segments,
        tail: Tail,
        queue: mpsc::Receiver<Append>,
        durable: watch::Sender<u64>,
    ) -> Self {
        let current = segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .cloned();
        Self {
            directory,
            options,
            segments,
            current,
            tail,
            queue,
            durable,
            broken: None,
        }
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        let mut buffer = Vec::new();
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let mut rest = group.drain(..).peekable();
            while rest.peek().is_some() {
                let part = self.take_what_fits(&mut rest, &mut buffer);
                let written = self.write(&buffer, part.len());
                if let Ok(first) = &written {
                    self.durable.send_replace(first + part.len() as u64 - 1);
                }
                answer(part, written);
            }
        }
    }

    /// Takes records that fit into the current segment, at least one, and encodes them.
    fn take_what_fits(
        &self,
        rest: &mut std::iter::Peekable<impl Iterator<Item = Append>>,
        buffer: &mut Vec<u8>,
    ) -> Vec<Append> {
        buffer.clear();
        let mut part = Vec::new();
        let room = self.room();
        while let Some(append) = rest.next_if(|next| {
            let needed = (buffer.len() + HEADER + next.payload.len()) as u64;
            // What does not fit any more begins the next segment, alone at first.
            needed <= room || buffer.is_empty()
        }) {
            frame::encode(
                self.tail.next_offset + part.len() as u64,
                &append.payload,
                buffer,
            );
            part.push(append);
        }
        part
    }

    fn room(&self) -> u64 {
        self.options
            .segment_bytes
            .saturating_sub(self.tail.position)
    }

    /// Writes encoded records and waits for the disk. Returns the number of the first one.
    fn write(&mut self, buffer: &[u8], records: usize) -> Result<u64, StoreError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let segment = match &self.current {
            Some(current) if buffer.len() as u64 <= self.room() || self.tail.position == 0 => {
                current.clone()
            }
            _ => self.begin_segment()?,
        };
        let failed = |error| StoreError::io("appending to", &segment.path, error);
        segment
            .file
            .write_all_at(buffer, self.tail.position)
            .map_err(failed)?;
        if let Err(error) = segment.file.sync_data() {
            let error = failed(error);
            self.broken = Some(error.clone());
            return Err(error);
        }
        let first = self.tail.next_offset;
        segment.mark(first, self.tail.position);
        self.tail.next_offset += records as u64;
        self.tail.position += buffer.len() as u64;
        Ok(first)
    }

    fn begin_segment(&mut self) -> Result<Arc<Segment>, StoreError> {
        let begun = Segment::create(
            &self.directory,
            self.tail.next_offset,
            self.options.segment_bytes,
        )?;
        let begun = Arc::new(begun);
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.push(begun.clone());
        while segments.len() > self.options.segments.max(2) {
            let oldest = segments.remove(0);
            if let Err(error) = std::fs::remove_file(&oldest.path) {
                tracing::warn!(file = %oldest.path.display(), %error, "an old segment of the event log stays on disk");
            }
        }
        self.tail.position = 0;
        self.current = Some(begun.clone());
        Ok(begun)
    }
}

fn answer(part: Vec<Append>, written: Result<u64, StoreError>) {
    for (number, append) in (0..).zip(part) {
        // A caller that went away no longer needs the answer; the record stands.
        let _ = append
            .caller
            .send(written.clone().map(|first: u64| first + number));
    }
}
