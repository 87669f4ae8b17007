//! The writer of a log: one thread. Writes what is queued, syncs once, answers.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::disk::Disk;
use crate::error::EventLogError;
use crate::frame::{self, HEAD};
use crate::log::{Health, LogOptions, Segments};
use crate::recover::{Recovered, Tail};
use crate::segment::{Mark, PAGE, Segment};

/// Most jobs of one sync; what arrives meanwhile waits for the next.
const GROUP: usize = 1024;
/// Size of the first file. The next are as large as all before them together, up to [`LogOptions::segment_bytes`].
const FIRST: u64 = 1 << 20;
/// A file is closed once its first record has so much of the time behind it that records are kept: files go as a whole.
const CLOSED_AFTER: u32 = 10;

/// What the writer is asked for.
pub(crate) enum Job {
    Append(Append),
    /// Try to write again, when the last attempt failed.
    Probe(oneshot::Sender<Result<(), EventLogError>>),
    /// Forget what is older than is kept.
    Trim(i64),
    /// Give out no number below this one.
    Advance(u64, oneshot::Sender<Result<(), EventLogError>>),
    /// Delete the log, and end.
    Retire(oneshot::Sender<()>),
}

/// Records on their way to the disk, together.
pub(crate) struct Append {
    pub(crate) records: Vec<Entry>,
    /// Is told the number of the last one.
    pub(crate) caller: oneshot::Sender<Result<u64, EventLogError>>,
    /// Memory that they hold.
    pub(crate) _held: OwnedSemaphorePermit,
}

impl Append {
    fn bytes(&self) -> u64 {
        let bytes = |entry: &Entry| (HEAD + entry.payload.len()) as u64;
        self.records.iter().map(bytes).sum()
    }
}

/// One record before it has a place.
pub(crate) struct Entry {
    /// The number that it has already, when it comes from another log.
    pub(crate) number: Option<u64>,
    pub(crate) at: i64,
    pub(crate) payload: Vec<u8>,
}

/// Why records were not kept.
enum Fault {
    /// No file could be begun.
    Begin(EventLogError),
    /// The file could not be written or synced; it is not written to again.
    Write(EventLogError),
}

impl Fault {
    fn error(self) -> EventLogError {
        match self {
            Self::Begin(error) | Self::Write(error) => error,
        }
    }
}

/// Writes what callers ask for.
pub(crate) struct LogWriter {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: Arc<Path>,
    pub(crate) options: LogOptions,
    pub(crate) segments: Segments,
    /// What is written to; `None` when the next record begins a file.
    current: Option<Arc<Segment>>,
    /// Of the next file, and of the first one that this writer began.
    serial: u64,
    first_serial: u64,
    tail: Tail,
    salts: Salts,
    durable: watch::Sender<u64>,
    health: watch::Sender<Health>,
    /// When the last attempt failed.
    failed_at: Option<Instant>,
    buffer: Vec<u8>,
}

impl LogWriter {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: Arc<Path>,
        options: LogOptions,
        (segments, recovered): (Segments, Recovered),
        seed: u64,
        (durable, health): (watch::Sender<u64>, watch::Sender<Health>),
    ) -> Self {
        let serial = recovered.segments.last().map_or(1, |last| last.serial + 1);
        Self {
            serial,
            first_serial: serial,
            disk,
            folder,
            options,
            segments,
            current: recovered.current,
            tail: recovered.tail,
            salts: Salts(seed),
            durable,
            health,
            failed_at: None,
            buffer: Vec::new(),
        }
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut jobs, GROUP) > 0 {
            let mut appends = Vec::new();
            for job in jobs.drain(..) {
                let other = match job {
                    Job::Append(append) => {
                        appends.push(append);
                        continue;
                    }
                    other => other,
                };
                self.append(std::mem::take(&mut appends));
                if let Job::Retire(caller) = other {
                    self.retire();
                    // A caller that went away no longer needs the answer; so below.
                    let _ = caller.send(());
                    return;
                }
                self.other(other);
            }
            self.append(appends);
        }
    }

    fn other(&mut self, job: Job) {
        match job {
            Job::Probe(caller) => {
                let _ = caller.send(self.probe());
            }
            Job::Trim(now) => self.trim(now),
            Job::Advance(next, caller) => {
                let _ = caller.send(self.advance(next));
            }
            Job::Append(_) | Job::Retire(_) => {}
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut rest = appends.into_iter().peekable();
        while rest.peek().is_some() {
            let part = self.take_what_fits(&mut rest);
            match self.keep(&part) {
                Ok(numbers) => {
                    for (append, number) in part.into_iter().zip(numbers) {
                        let _ = append.caller.send(Ok(number));
                    }
                }
                Err(error) => {
                    for append in part {
                        let _ = append.caller.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Takes what fits into one file, at least one.
    fn take_what_fits(
        &self,
        rest: &mut std::iter::Peekable<impl Iterator<Item = Append>>,
    ) -> Vec<Append> {
        let first = rest.peek().map_or(0, Append::bytes);
        let room = match &self.current {
            Some(current) if first <= current.room() => current.room(),
            // They begin a file together.
            _ => self.size_of_next(first) - PAGE,
        };
        let (mut part, mut bytes) = (Vec::new(), 0);
        while let Some(append) =
            rest.next_if(|next| part.is_empty() || bytes + next.bytes() <= room)
        {
            bytes += append.bytes();
            part.push(append);
        }
        part
    }

    /// Writes records and waits for the disk. Returns the number of the last one of each.
    fn keep(&mut self, part: &[Append]) -> Result<Vec<u64>, EventLogError> {
        self.require_patience()?;
        let kept = self.try_to_keep(part).or_else(|fault| match fault {
            Fault::Write(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a write of the event log failed; it goes on in a new file"
                );
                self.try_to_keep(part)
            }
            begin @ Fault::Begin(_) => Err(begin),
        });
        let kept = kept.map_err(Fault::error);
        self.tell(kept.as_ref().err().cloned());
        kept
    }

    /// A disk that has just failed is not asked again at once.
    fn require_patience(&self) -> Result<(), EventLogError> {
        let again = self
            .failed_at
            .is_none_or(|at| at.elapsed() >= self.options.retry);
        match &*self.health.borrow() {
            Health::Failing(error) if !again => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn tell(&mut self, failure: Option<EventLogError>) {
        self.failed_at = failure.is_some().then(Instant::now);
        let was_failing = matches!(*self.health.borrow(), Health::Failing(_));
        match failure {
            Some(error) => {
                if !was_failing {
                    tracing::error!(error = &error as &dyn std::error::Error, folder = %self.folder.display(), "telemetry cannot be kept; devices wait for their acknowledgements");
                }
                self.health.send_replace(Health::Failing(error));
            }
            None if was_failing => {
                tracing::info!(folder = %self.folder.display(), "telemetry can be kept again");
                self.health.send_replace(Health::Good);
            }
            None => {}
        }
    }

    fn try_to_keep(&mut self, part: &[Append]) -> Result<Vec<u64>, Fault> {
        let needed = part.iter().map(Append::bytes).sum();
        let segment = match &self.current {
            Some(current) if needed <= current.room() => current.clone(),
            _ => self.begin(needed).map_err(Fault::Begin)?,
        };
        self.buffer.clear();
        let (mut tail, mut numbers) = (self.tail, Vec::with_capacity(part.len()));
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        let first = tail.next;
        for append in part {
            for entry in &append.records {
                let number = entry.number.map_or(tail.next, |given| given.max(tail.next));
                let place = (number, tail.previous);
                frame::encode(
                    segment.salt,
                    place,
                    entry.at,
                    &entry.payload,
                    &mut self.buffer,
                );
                (oldest, newest) = (oldest.min(entry.at), newest.max(entry.at));
                tail = Tail {
                    next: number + 1,
                    previous: number,
                };
            }
            numbers.push(tail.previous);
        }
        let end = segment.end();
        let mark = Mark {
            next: tail.next,
            previous: tail.previous,
            newest: segment.newest().unwrap_or(newest).max(newest),
            successor: 0,
        };
        let written = segment
            .file
            .write_at(&self.buffer, end)
            .and_then(|()| segment.file.write_at(&mark.encode(segment.salt), 0))
            .and_then(|()| segment.file.sync());
        if let Err(error) = written {
            // What the file holds behind its end is unknown now, and a sync that is repeated may say yes without having
            // written anything. Readers stop at the first number of the file that follows.
            self.current = None;
            let error = EventLogError::new("appending to", &segment.path, error);
            return Err(Fault::Write(error));
        }
        segment.place(first, end);
        segment.ends_at(end + self.buffer.len() as u64, oldest, newest);
        self.tail = tail;
        self.durable.send_replace(tail.previous);
        Ok(numbers)
    }

    fn size_of_next(&self, needed: u64) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let usual = all.max(FIRST).min(self.options.segment_bytes);
        usual.max(PAGE + needed)
    }

    /// Begins a file, and deletes old ones that are too many then.
    fn begin(&mut self, needed: u64) -> Result<Arc<Segment>, EventLogError> {
        let mark = Mark {
            next: self.tail.next,
            previous: self.tail.previous,
            newest: i64::MIN,
            successor: 0,
        };
        let begun = Arc::new(Segment::create(
            &*self.disk,
            &self.folder,
            (self.serial, self.tail.next, self.salts.next()),
            self.size_of_next(needed),
            mark,
        )?);
        self.serial += 1;
        if let Some(last) = self.last()
            && !self.left_empty(&last)
        {
            self.name_successor(&last);
        }
        self.change(|segments| {
            let empty = segments.pop_if(|last| self.left_empty(last));
            segments.push(begun.clone());
            let mut all: u64 = segments.iter().map(|segment| segment.bytes).sum();
            let mut count = 0;
            while all > self.options.bytes && count + 1 < segments.len() {
                all -= segments[count].bytes;
                count += 1;
            }
            segments.drain(..count).chain(empty).collect()
        });
        self.current = Some(begun.clone());
        Ok(begun)
    }

    fn last(&self) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.last().cloned()
    }

    /// Changes which files there are, and deletes those that `change` took out: without the lock, so that no reader waits for the
    /// disk.
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>) -> Vec<Arc<Segment>>) {
        let gone = {
            let segments = self.segments.write();
            change(&mut segments.unwrap_or_else(PoisonError::into_inner))
        };
        for segment in gone {
            self.delete(&segment);
        }
    }

    /// Whether it was begun by this writer and took nothing. One that was found without records may have had some.
    fn left_empty(&self, segment: &Segment) -> bool {
        segment.serial >= self.first_serial && segment.is_empty()
    }

    /// Only a help for the day when a file has disappeared: the numbers are right without it.
    fn name_successor(&self, last: &Segment) {
        let mark = Mark {
            next: self.tail.next,
            previous: self.tail.previous,
            newest: last.newest().unwrap_or(i64::MIN),
            successor: self.tail.next,
        };
        let named = last.file.write_at(&mark.encode(last.salt), 0);
        if let Err(error) = named.and_then(|()| last.file.sync()) {
            tracing::debug!(file = %last.path.display(), %error, "a file of the event log does not name the next one");
        }
    }

    fn delete(&self, segment: &Segment) {
        if let Err(error) = self.disk.remove(&segment.path) {
            tracing::warn!(file = %segment.path.display(), %error, "an old file of the event log stays on disk");
        }
    }

    fn probe(&mut self) -> Result<(), EventLogError> {
        if matches!(*self.health.borrow(), Health::Good) {
            return Ok(());
        }
        self.require_patience()?;
        // Beginning a file writes and syncs: what is wanted to be known.
        let begun = self.begin(0).map(drop);
        self.tell(begun.as_ref().err().cloned());
        begun
    }

    fn advance(&mut self, next: u64) -> Result<(), EventLogError> {
        if next <= self.tail.next {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.tail.next, next);
        let begun = self.begin(0).map(drop);
        if begun.is_err() {
            // No file says it: who asks again is not to be told that one does.
            self.tail.next = before;
        }
        begun
    }

    fn trim(&mut self, now: i64) {
        let Some(keep) = self.options.keep else {
            return;
        };
        let ticks = i64::try_from(keep.as_nanos() / 100).unwrap_or(i64::MAX);
        let limit = now.saturating_sub(ticks);
        let closes = now.saturating_sub(ticks / i64::from(CLOSED_AFTER));
        let Some(last) = self.last() else { return };
        if last.newest().is_some_and(|newest| newest < limit) {
            // The name of an empty file keeps the number.
            if let Err(error) = self.begin(0) {
                self.tell(Some(error));
            }
        } else if last.oldest().is_some_and(|oldest| oldest < closes) {
            self.current = None;
        }
        self.change(|segments| {
            let is_old =
                |segment: &Arc<Segment>| segment.newest().is_some_and(|newest| newest < limit);
            let old = segments
                .iter()
                .take_while(|segment| is_old(segment))
                .count();
            // The last one stays.
            let count = old.min(segments.len().saturating_sub(1));
            segments.drain(..count).collect()
        });
    }

    fn retire(&mut self) {
        self.current = None;
        self.change(std::mem::take);
        if let Err(error) = self.disk.remove_folder(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "the folder of an event log stays on disk");
        }
    }
}

/// Numbers that nobody can guess who does not know the seed (SplitMix64).
struct Salts(u64);

impl Salts {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut salt = self.0;
        salt = (salt ^ (salt >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        salt = (salt ^ (salt >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        salt ^ (salt >> 31)
    }
}
