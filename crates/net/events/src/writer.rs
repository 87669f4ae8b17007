//! The writer of a log: one thread. Writes what is queued, syncs once, answers.

use std::iter::Peekable;

use tokio::sync::{mpsc, watch};

use crate::error::EventLogError;
use crate::frame;
use crate::health::HealthReport;
use crate::queue::{Append, Job};
use crate::recover::Tail;
use crate::rotation::Rotation;
use crate::segment::{Segment, SegmentHeader};

/// Most jobs of one sync; jobs that arrive meanwhile wait for the next.
const BATCH: usize = 1024;

/// Why a batch of records was not written.
enum WriteError {
    /// No file could be begun.
    Begin(EventLogError),
    /// The file could not be written or synced; it is not written to again.
    Write(EventLogError),
}

impl WriteError {
    fn into_cause(self) -> EventLogError {
        match self {
            Self::Begin(error) | Self::Write(error) => error,
        }
    }
}

pub(crate) struct LogWriter {
    rotation: Rotation,
    tail: Tail,
    durable: watch::Sender<u64>,
    health: HealthReport,
    /// The encoded frames of a batch.
    buffer: Vec<u8>,
}

/// The frames of a batch, before they are on disk.
struct EncodedBatch {
    tail: Tail,
    /// Number of the last record of each append.
    numbers: Vec<u64>,
    /// Times of the records, in ticks.
    oldest: i64,
    newest: i64,
}

impl LogWriter {
    /// `durable` carries the number of the newest record on disk.
    pub(crate) fn new(
        rotation: Rotation,
        tail: Tail,
        durable: watch::Sender<u64>,
        health: HealthReport,
    ) -> Self {
        Self {
            rotation,
            tail,
            durable,
            health,
            buffer: Vec::new(),
        }
    }

    /// Runs until every sender is dropped and the queue is empty, or the log is deleted.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
            let mut appends = Vec::new();
            for job in jobs.drain(..) {
                if let Job::Append(append) = job {
                    appends.push(append);
                    continue;
                }
                self.append(std::mem::take(&mut appends));
                // A caller that has gone away does not need the answer.
                match job {
                    Job::Append(_) => {}
                    Job::Probe(caller) => drop(caller.send(self.probe())),
                    Job::Trim(now) => self.trim(now),
                    Job::Advance(next, caller) => drop(caller.send(self.advance(next))),
                    Job::Delete(caller) => {
                        self.rotation.delete_all();
                        let _ = caller.send(());
                        return;
                    }
                }
            }
            self.append(appends);
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut rest = appends.into_iter().peekable();
        while rest.peek().is_some() {
            let batch = self.next_batch(&mut rest);
            match self.write(&batch) {
                Ok(numbers) => {
                    for (append, number) in batch.into_iter().zip(numbers) {
                        let _ = append.caller.send(Ok(number));
                    }
                }
                Err(error) => {
                    for append in batch {
                        let _ = append.caller.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// The appends that fit into one file, at least one.
    fn next_batch(&self, rest: &mut Peekable<impl Iterator<Item = Append>>) -> Vec<Append> {
        let room = self.rotation.room_for(rest.peek().map_or(0, Append::bytes));
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(append) =
            rest.next_if(|next| batch.is_empty() || bytes + next.bytes() <= room)
        {
            bytes += append.bytes();
            batch.push(append);
        }
        batch
    }

    /// Writes records and waits for the disk. Returns the number of the last record of each append.
    fn write(&mut self, batch: &[Append]) -> Result<Vec<u64>, EventLogError> {
        if let Some(error) = self.health.refusal() {
            return Err(error);
        }
        let written = self.try_write(batch).or_else(|error| match error {
            WriteError::Write(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a write of the event log failed; it continues in a new file"
                );
                self.try_write(batch)
            }
            begin @ WriteError::Begin(_) => Err(begin),
        });
        let written = written.map_err(WriteError::into_cause);
        self.health.publish(written.as_ref().err().cloned());
        written
    }

    fn try_write(&mut self, batch: &[Append]) -> Result<Vec<u64>, WriteError> {
        let needed = batch.iter().map(Append::bytes).sum();
        let segment = self.rotation.segment_for(needed, self.tail);
        let segment = segment.map_err(WriteError::Begin)?;
        let (first, end) = (self.tail.next, segment.end());
        let encoded = self.encode(batch, segment.name.salt);
        if let Err(error) = self.write_and_sync(&segment, &encoded) {
            // What the file holds after its end is unknown now, and a sync that is repeated may
            // succeed without having written anything. Readers stop at the first number of the file
            // that follows.
            self.rotation.close_current();
            let error = EventLogError::new("appending to", &segment.path, error);
            return Err(WriteError::Write(error));
        }
        segment.add_to_index(first, end);
        let end = end + self.buffer.len() as u64;
        segment.set_end(end, encoded.oldest, encoded.newest);
        self.tail = encoded.tail;
        self.durable.send_replace(self.tail.previous);
        Ok(encoded.numbers)
    }

    /// Fills the buffer with the frames of a batch.
    fn encode(&mut self, batch: &[Append], salt: u64) -> EncodedBatch {
        self.buffer.clear();
        let mut encoded = EncodedBatch {
            tail: self.tail,
            numbers: Vec::with_capacity(batch.len()),
            oldest: i64::MAX,
            newest: i64::MIN,
        };
        for append in batch {
            for record in &append.records {
                let Tail { next, previous } = encoded.tail;
                let number = record.number.map_or(next, |given| given.max(next));
                let numbers = (number, previous);
                frame::encode(salt, numbers, record.at, &record.payload, &mut self.buffer);
                encoded.oldest = encoded.oldest.min(record.at);
                encoded.newest = encoded.newest.max(record.at);
                encoded.tail = Tail {
                    next: number + 1,
                    previous: number,
                };
            }
            encoded.numbers.push(encoded.tail.previous);
        }
        encoded
    }

    fn write_and_sync(&self, segment: &Segment, encoded: &EncodedBatch) -> std::io::Result<()> {
        let newest = segment.newest().unwrap_or(encoded.newest);
        let header = SegmentHeader {
            next: encoded.tail.next,
            previous: encoded.tail.previous,
            newest: newest.max(encoded.newest),
            successor: 0,
        };
        segment.file.write_at(&self.buffer, segment.end())?;
        segment
            .file
            .write_at(&header.encode(segment.name.salt), 0)?;
        segment.file.sync()
    }

    fn probe(&mut self) -> Result<(), EventLogError> {
        if !self.health.is_failing() {
            return Ok(());
        }
        if let Some(error) = self.health.refusal() {
            return Err(error);
        }
        // Beginning a file writes and syncs, so it shows whether the disk works.
        let begun = self.rotation.begin(0, self.tail).map(drop);
        self.health.publish(begun.as_ref().err().cloned());
        begun
    }

    fn advance(&mut self, next: u64) -> Result<(), EventLogError> {
        if next <= self.tail.next {
            return Ok(());
        }
        let tail = Tail { next, ..self.tail };
        self.rotation.begin(0, tail)?;
        self.tail = tail;
        Ok(())
    }

    fn trim(&mut self, now: i64) {
        if let Err(error) = self.rotation.trim(now, self.tail) {
            self.health.publish(Some(error));
        }
    }
}
