//! Which jobs go into a transaction, and in which order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sqlite::job::{Job, Queued};

/// Most jobs of one transaction; what arrives meanwhile waits for the next.
pub(crate) const BATCH: usize = 512;

/// How long the jobs of one transaction may run together. The one that passes it is the last.
const SPAN: Duration = Duration::from_millis(20);

/// Who waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A device or an operator.
    Interactive,
    /// Nobody in particular: it follows from something that was answered already.
    Background,
}

/// Jobs that have left the queue.
#[derive(Default)]
pub(crate) struct Waiting {
    interactive: VecDeque<Box<dyn Job>>,
    /// Never more than [`Store`](crate::Store) lets in.
    background: VecDeque<Box<dyn Job>>,
}

impl Waiting {
    pub(crate) fn push(&mut self, (lane, job): Queued) {
        match lane {
            Lane::Interactive => self.interactive.push_back(job),
            Lane::Background => self.background.push_back(job),
        }
    }

    /// Whether as many wait as one transaction takes.
    pub(crate) fn is_full(&self) -> bool {
        self.interactive.len() >= BATCH
    }

    pub(crate) fn background(&self) -> usize {
        self.background.len()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Box<dyn Job>> {
        let interactive = std::mem::take(&mut self.interactive);
        interactive
            .into_iter()
            .chain(std::mem::take(&mut self.background))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.background.is_empty()
    }

    pub(crate) fn next(&mut self, progress: &Progress) -> Option<Box<dyn Job>> {
        match progress.next(!self.interactive.is_empty(), !self.background.is_empty())? {
            Lane::Interactive => self.interactive.pop_front(),
            Lane::Background => self.background.pop_front(),
        }
    }
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) jobs: usize,
    pub(crate) of_background: usize,
    pub(crate) spent: Duration,
}

impl Progress {
    /// Which lane the next job of the transaction comes from; `None` when it shall be committed.
    fn next(self, interactive: bool, background: bool) -> Option<Lane> {
        let room = self.jobs < BATCH && self.spent < SPAN;
        if interactive && room {
            return Some(Lane::Interactive);
        }
        // One of these goes into every transaction, however many others wait.
        (background && (room || self.of_background == 0)).then_some(Lane::Background)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // C7
    #[test]
    fn no_lane_starves() {
        let over = SPAN + Duration::from_millis(1);
        for (jobs, of_background, spent, interactive, background, expected) in [
            (0, 0, Duration::ZERO, true, true, Some(Lane::Interactive)),
            (
                BATCH - 1,
                0,
                Duration::ZERO,
                true,
                true,
                Some(Lane::Interactive),
            ),
            (BATCH, 0, Duration::ZERO, true, true, Some(Lane::Background)),
            (BATCH + 1, 1, Duration::ZERO, true, true, None),
            (3, 0, over, true, true, Some(Lane::Background)),
            (4, 1, over, true, true, None),
            (3, 0, over, true, false, None),
            (4, 4, Duration::ZERO, false, true, Some(Lane::Background)),
            (4, 4, Duration::ZERO, false, false, None),
        ] {
            let progress = Progress {
                jobs,
                of_background,
                spent,
            };
            assert_eq!(
                progress.next(interactive, background),
                expected,
                "{progress:?}"
            );
        }
    }
}
