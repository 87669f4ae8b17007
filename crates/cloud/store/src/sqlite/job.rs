use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::sqlite::lanes::Lane;
use crate::sqlite::tx::Tx;
use crate::{StoreError, Unit};

/// A unit on its way to the writer, with its caller.
pub(crate) trait Job: Send {
    /// Runs the unit once. What it answers is kept for the caller, over what
    /// an earlier run answered.
    fn run(&mut self, tx: &Tx<'_>) -> Ran;

    /// Looks for the refusal of a write that was in conflict each time it ran.
    fn refuse_taken(&mut self, tx: &Tx<'_>);

    /// Keeps an error for the caller, over what the runs answered.
    fn fail(&mut self, error: StoreError);

    /// Answers the caller, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// A job on its way to the writer, with its lane.
pub(crate) type Queued = (Lane, Box<dyn Job>);

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It wrote what it decided.
    Kept,
    /// It decided against writing.
    Refused,
    /// It failed while it wrote.
    Failed,
    /// A row had another version than the one that it read.
    Changed,
}

pub(crate) struct UnitJob<U: Unit> {
    unit: U,
    outcome: Option<Result<U::Output, U::Error>>,
    caller: oneshot::Sender<Result<U::Output, U::Error>>,
}

impl<U: Unit> UnitJob<U> {
    pub(crate) fn new(unit: U, caller: oneshot::Sender<Result<U::Output, U::Error>>) -> Self {
        Self {
            unit,
            outcome: None,
            caller,
        }
    }

    fn attempt(&self, tx: &Tx<'_>) -> (Ran, Result<U::Output, U::Error>) {
        let plan = match self.unit.decide(tx) {
            Ok(plan) => plan,
            Err(refusal) => return (Ran::Refused, Err(refusal)),
        };
        if let Some(trace) = tx.trace() {
            trace.hold(self.unit.locks());
            trace.hold(self.unit.locks_of_plan(&plan));
        }
        match self.unit.apply(tx, plan) {
            Ok(output) => (Ran::Kept, Ok(output)),
            Err(error) if error.is_changed() => (Ran::Changed, Err(error.into())),
            Err(error) => (Ran::Failed, Err(error.into())),
        }
    }
}

impl<U: Unit> Job for UnitJob<U>
where
    U::Output: Send,
    U::Error: Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Ran {
        // A panic in one unit must not end the writer, and with it the server.
        let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(tx)));
        let (ran, outcome) = attempt.unwrap_or_else(|_| {
            let error = StoreError::words("writing", tx.file, "the operation panicked");
            (Ran::Failed, Err(error.into()))
        });
        self.outcome = Some(outcome);
        ran
    }

    fn refuse_taken(&mut self, tx: &Tx<'_>) {
        let look = catch_unwind(AssertUnwindSafe(|| self.unit.refuse_taken(tx)));
        if let Ok(Err(refusal)) = look {
            self.outcome = Some(Err(refusal));
        }
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let outcome = match (failure, self.outcome) {
            // Also a refusal may rest on what a neighbour wrote, so a failed batch answers nothing
            // else.
            (Some(failure), _) => Err(failure.clone().into()),
            (None, Some(outcome)) => outcome,
            (None, None) => return,
        };
        // A caller that went away no longer needs the answer; the write stands.
        let _ = self.caller.send(outcome);
    }
}
