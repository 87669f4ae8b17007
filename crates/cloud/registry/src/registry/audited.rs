//! Who writes, and what is kept of it.

use std::fmt::Display;
use std::sync::Arc;

use ids::Timestamp;
use serde_json::{Map, Value, json};
use store::audit::AuditStream;
use store::{Lock, Store, StoreError, Tx, Unit, View, unit};

use super::Registry;
use super::act::OperatorAct;
use crate::actor::Actor;
use crate::error::StorageError;

/// The store of a data directory. It is written as the act of an operator, which is
/// durable together with its record in the audit; for a device; or by the server
/// itself. Nothing else writes.
pub struct AuditedStore(Store);

impl AuditedStore {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.read(work)
    }

    pub async fn scan<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.scan(work).await
    }

    pub async fn scan_shortly<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.scan_shortly(work).await
    }

    pub fn group_generation(&self) -> u64 {
        self.0.group_generation()
    }

    pub fn revocations_generation(&self) -> u64 {
        self.0.revocations_generation()
    }

    /// Runs a unit, see [`Store::write`], that no operator asked for. What it decides about a
    /// device it enters into the audit itself.
    pub async fn write_without_act<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.0.write(unit).await
    }

    /// The same for what nobody waits for.
    pub async fn write_in_background<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.0.write_in_background(unit).await
    }
}

/// What the record of an act says beside who did it and to what.
pub type Particulars = Map<String, Value>;

impl Registry {
    /// The same registry in the hands of an operator. The audit gets what the operator changes,
    /// with the operator's name.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            actor: Some(Arc::new(actor)),
            ..self.clone()
        }
    }

    /// Enters an act that changes nothing here, such as showing keys; do it after this.
    pub async fn disclose(
        &self,
        act: impl OperatorAct,
        target: impl Display,
    ) -> Result<(), StorageError> {
        let nothing = unit(
            (),
            |()| Vec::new(),
            |(), _| Ok::<_, StorageError>(()),
            |(), _, ()| Ok(()),
        );
        self.act(act, target, nothing).await
    }

    /// Runs a unit. When an operator does it, it and its record are durable together. `target` is
    /// what it is done to.
    pub async fn act<U: Unit>(
        &self,
        act: impl OperatorAct,
        target: impl Display,
        unit: U,
    ) -> Result<U::Output, U::Error> {
        let Some(actor) = self.actor.clone() else {
            return self.inner.store.write_without_act(unit).await;
        };
        let record = self.record(act, target, &actor);
        let recorded = Recorded {
            unit,
            at: actor.at,
            record,
            particulars: |_: &U::Output| Particulars::new(),
        };
        self.inner.store.write_without_act(recorded).await
    }

    /// The same for a unit that has more to say of itself: it returns that beside its result.
    pub async fn act_with_particulars<T, U>(
        &self,
        act: impl OperatorAct,
        target: impl Display,
        unit: U,
    ) -> Result<T, U::Error>
    where
        U: Unit<Output = (T, Particulars)>,
        T: Send + 'static,
    {
        let Some(actor) = self.actor.clone() else {
            return self
                .inner
                .store
                .write_without_act(unit)
                .await
                .map(|(done, _)| done);
        };
        let record = self.record(act, target, &actor);
        let recorded = Recorded {
            unit,
            at: actor.at,
            record,
            particulars: |(_, particulars): &(T, Particulars)| particulars.clone(),
        };
        let (done, _) = self.inner.store.write_without_act(recorded).await?;
        Ok(done)
    }

    fn record(&self, act: impl OperatorAct, target: impl Display, actor: &Actor) -> Value {
        json!({
            "kind": act.kind(), "target": target.to_string(), "idScope": self.id_scope.as_deref(),
            "policy": actor.policy, "requestId": actor.request_id, "address": actor.address,
        })
    }
}

/// A unit together with the record of the act.
struct Recorded<U, F> {
    unit: U,
    at: Timestamp,
    record: Value,
    particulars: F,
}

impl<U, F> Unit for Recorded<U, F>
where
    U: Unit,
    F: Fn(&U::Output) -> Particulars + Send + 'static,
{
    type Plan = U::Plan;
    type Output = U::Output;
    type Error = U::Error;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.unit.locks()
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a U::Plan) -> Vec<Lock<'a>> {
        self.unit.locks_of_plan(plan)
    }

    fn decide(&self, view: &View<'_>) -> Result<U::Plan, U::Error> {
        self.unit.decide(view)
    }

    fn refuse_taken(&self, view: &View<'_>) -> Result<(), U::Error> {
        self.unit.refuse_taken(view)
    }

    fn apply(&self, tx: &Tx<'_>, plan: U::Plan) -> Result<U::Output, StoreError> {
        let done = self.unit.apply(tx, plan)?;
        let mut record = self.record.clone();
        for (name, value) in (self.particulars)(&done) {
            record[name] = value;
        }
        let body = record.to_string().into_bytes();
        tx.audit(AuditStream::OperatorActs, self.at.ticks(), body)?;
        Ok(done)
    }
}
