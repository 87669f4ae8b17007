//! Which jobs go into a transaction, and in which order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sqlite::job::{Job, Queued};

/// Most jobs of one transaction; what arrives meanwhile waits for the next.
pub(crate) const BATCH: usize = 512;

/// How long the jobs of one transaction may run together. The one that passes it is the last.
const SPAN: Duration = Duration::from_millis(20);

/// How long the background may run in a transaction: who comes meanwhile waits for its commit, which
/// takes the longer the more is in it.
const BACKGROUND_SPAN: Duration = Duration::from_millis(5);

/// The same in a transaction that somebody waits for.
const SHARED_SPAN: Duration = Duration::from_millis(2);

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

    /// Whether somebody waits.
    pub(crate) fn is_urgent(&self) -> bool {
        !self.interactive.is_empty()
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

    pub(crate) fn next(&mut self, progress: Progress) -> Option<Queued> {
        let lane = progress.next(self.is_urgent(), !self.background.is_empty())?;
        let job = match lane {
            Lane::Interactive => self.interactive.pop_front(),
            Lane::Background => self.background.pop_front(),
        };
        Some((lane, job?))
    }
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) jobs: usize,
    pub(crate) of_background: usize,
    pub(crate) spent: Duration,
    /// What of that the background spent.
    pub(crate) spent_in_background: Duration,
}

impl Progress {
    /// A job ran; `spent` is since the transaction began.
    pub(crate) fn add(&mut self, lane: Lane, spent: Duration) {
        self.jobs += 1;
        if lane == Lane::Background {
            self.of_background += 1;
            self.spent_in_background += spent.saturating_sub(self.spent);
        }
        self.spent = spent;
    }

    pub(crate) fn of_interactive(self) -> usize {
        self.jobs - self.of_background
    }

    /// Which lane the next job of the transaction comes from; `None` when it shall be committed.
    fn next(self, interactive: bool, background: bool) -> Option<Lane> {
        let room = self.jobs < BATCH && self.spent < SPAN;
        if interactive && room {
            return Some(Lane::Interactive);
        }
        // One of these goes into every transaction, however many others wait.
        let span = match self.of_interactive() {
            0 => BACKGROUND_SPAN,
            _ => SHARED_SPAN,
        };
        let more = room && self.spent_in_background < span;
        (background && (more || self.of_background == 0)).then_some(Lane::Background)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // C7
    #[test]
    fn no_lane_starves() {
        let zero = Duration::ZERO;
        let over = SPAN + Duration::from_millis(1);
        let interactive = Some(Lane::Interactive);
        let background = Some(Lane::Background);
        for (jobs, of_background, spent, spent_in_background, waiting, expected) in [
            (0, 0, zero, zero, (true, true), interactive),
            (BATCH - 1, 0, zero, zero, (true, true), interactive),
            (BATCH, 0, zero, zero, (true, true), background),
            (BATCH + 1, 1, zero, zero, (true, true), None),
            (3, 0, over, zero, (true, true), background),
            (4, 1, over, zero, (true, true), None),
            (3, 0, over, zero, (true, false), None),
            (4, 4, zero, zero, (false, true), background),
            (4, 4, zero, zero, (false, false), None),
            // Alone, shared with somebody, and when somebody comes.
            (4, 4, SHARED_SPAN, SHARED_SPAN, (false, true), background),
            (4, 4, BACKGROUND_SPAN, BACKGROUND_SPAN, (false, true), None),
            (4, 2, BACKGROUND_SPAN, zero, (false, true), background),
            (4, 2, BACKGROUND_SPAN, SHARED_SPAN, (false, true), None),
            (
                4,
                4,
                BACKGROUND_SPAN,
                BACKGROUND_SPAN,
                (true, true),
                interactive,
            ),
        ] {
            let progress = Progress {
                jobs,
                of_background,
                spent,
                spent_in_background,
            };
            let (somebody, others) = waiting;
            assert_eq!(progress.next(somebody, others), expected, "{progress:?}");
        }
    }
}
