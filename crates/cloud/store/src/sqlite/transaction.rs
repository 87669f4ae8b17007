//! The units of one transaction: run together, and run again apart when one of them fails.

use std::time::Instant;

use crate::StoreError;
use crate::sqlite::job::{Job, Queued, Ran};
use crate::sqlite::rehearsal::{self, Run};
use crate::sqlite::tx::{Tx, TxEffects};
use crate::sqlite::writer::Writer;

impl Writer {
    /// Runs what waits, as far as one transaction goes.
    pub(super) fn run_batch(
        &mut self,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<TxEffects, StoreError> {
        let begun = Instant::now();
        let mut effects = TxEffects::default();
        while let Some((lane, mut job)) = self.next_job() {
            let ran = match self.options.rehearse {
                true => self.rehearse(job.as_mut(), &effects).map(Some),
                false => self.run_unguarded(job.as_mut(), &effects),
            };
            batch.push(job);
            match ran? {
                Some(more) => effects.add(more),
                None => return self.run_again(batch),
            }
            self.progress.add(lane, begun.elapsed());
        }
        Ok(effects)
    }

    /// The next job of this transaction. Somebody who came while others of the background ran goes
    /// before the rest of them.
    fn next_job(&mut self) -> Option<Queued> {
        if !self.waiting.is_urgent() && self.progress.of_background > 0 {
            self.drain_queue();
        }
        self.waiting.next(self.progress)
    }

    /// Runs a unit. `None` when it failed while it wrote: what it wrote can be taken back
    /// with the transaction only.
    fn run_unguarded(
        &self,
        job: &mut dyn Job,
        before: &TxEffects,
    ) -> Result<Option<TxEffects>, StoreError> {
        let tx = Tx::new(&self.connection, &self.file, self.batch).after(before);
        let ran = job.run(&tx);
        self.require_transaction()?;
        Ok(match ran {
            Ran::Kept => Some(tx.into_parts().0),
            Ran::Refused | Ran::Failed | Ran::Changed if !tx.has_written() => {
                Some(TxEffects::default())
            }
            Ran::Refused | Ran::Failed | Ran::Changed => None,
        })
    }

    /// Begins the transaction anew and runs its units again, each behind a savepoint, so that those
    /// that fail fail alone. A unit runs twice at most.
    fn run_again(&self, batch: &mut [Box<dyn Job>]) -> Result<TxEffects, StoreError> {
        self.end()?;
        self.sql("BEGIN IMMEDIATE")?;
        let mut effects = TxEffects::default();
        for job in batch {
            let more = self.run_guarded(job.as_mut(), &effects)?;
            effects.add(more);
        }
        Ok(effects)
    }

    /// Runs a unit behind a savepoint. Nobody else writes: a row that is in conflict again stays so.
    fn run_guarded(&self, job: &mut dyn Job, before: &TxEffects) -> Result<TxEffects, StoreError> {
        self.sql("SAVEPOINT unit")?;
        let tx = Tx::new(&self.connection, &self.file, self.batch).after(before);
        let ran = job.run(&tx);
        self.require_transaction()?;
        if ran == Ran::Kept {
            self.sql("RELEASE unit")?;
            return Ok(tx.into_parts().0);
        }
        self.sql("ROLLBACK TO unit")?;
        self.sql("RELEASE unit")?;
        if ran == Ran::Changed {
            job.refuse_taken(&Tx::new(&self.connection, &self.file, self.batch));
        }
        Ok(TxEffects::default())
    }

    /// Runs a unit, rolls it back, and runs it again: see `rehearsal.rs`.
    fn rehearse(&self, job: &mut dyn Job, before: &TxEffects) -> Result<TxEffects, StoreError> {
        self.sql("SAVEPOINT unit")?;
        let first = self.trace(job, before)?;
        self.sql("ROLLBACK TO unit")?;
        let mut second = self.trace(job, before)?;
        if let Some(cause) = rehearsal::difference(&first, &second) {
            let error = StoreError::words("rehearsing a write of", &self.file, cause);
            job.fail(error);
            second.kept = false;
        }
        if !second.kept {
            self.sql("ROLLBACK TO unit")?;
        }
        self.sql("RELEASE unit")?;
        if second.changed {
            job.refuse_taken(&Tx::new(&self.connection, &self.file, self.batch));
        }
        Ok(match second.kept {
            true => second.effects,
            false => TxEffects::default(),
        })
    }

    fn trace(&self, job: &mut dyn Job, before: &TxEffects) -> Result<Run, StoreError> {
        let tx = Tx::new(&self.connection, &self.file, self.batch);
        let tx = tx.after(before).traced();
        let ran = job.run(&tx);
        self.require_transaction()?;
        let (effects, trace) = tx.into_parts();
        Ok(Run {
            trace: trace.unwrap_or_default(),
            effects,
            kept: ran == Ran::Kept,
            changed: ran == Ran::Changed,
        })
    }

    fn require_transaction(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            let cause = "the transaction was ended by an error of the disk";
            return Err(StoreError::words("writing", &self.file, cause));
        }
        Ok(())
    }
}
