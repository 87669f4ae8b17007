//! Administrative acts: written together with their record in the audit.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::json;
use store::audit::Book;
use store::{StoreError, Tx};

use super::Registry;
use crate::actor::Actor;
use crate::error::StorageError;

impl Registry {
    /// The same registry in the hands of an operator: what he changes is entered into the audit with his name.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            actor: Some(Arc::new(actor)),
            ..self.clone()
        }
    }

    /// Enters into the audit that keys are shown to the operator, which is an act although nothing changes; show them after it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn disclose(
        &self,
        kind: &'static str,
        target: impl Display,
    ) -> Result<(), StorageError> {
        self.act(kind, target, |_| Ok(())).await
    }

    /// Runs a write. When an operator does it, it and its record are durable together. `kind` is a stable name such as
    /// `enrollment.put`, `target` what it is done to.
    pub(super) async fn act<T, E, F>(
        &self,
        kind: &'static str,
        target: impl Display,
        work: F,
    ) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(actor) = self.actor.clone() else {
            return self.inner.store.write(work).await;
        };
        let record = json!({
            "kind": kind, "target": target.to_string(), "idScope": self.id_scope(),
            "policy": actor.policy, "requestId": actor.request_id, "address": actor.address,
        });
        let record = record.to_string().into_bytes();
        let both = move |tx: &Tx<'_>| {
            let done = work(tx)?;
            tx.audit(Book::Acts, actor.at.ticks(), record)?;
            Ok(done)
        };
        self.inner.store.write(both).await
    }
}
