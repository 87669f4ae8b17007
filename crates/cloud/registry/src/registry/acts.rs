//! Who writes, and what is kept of it. The store can be written through this file only: as the act of an operator, which is durable
//! together with its record in the audit; as what a device asked for; or as what the server does of itself.

use std::fmt::Display;
use std::sync::Arc;

use ids::Timestamp;
use serde_json::{Map, Value, json};
use store::audit::Book;
use store::{Lock, Store, StoreError, Tx, Unit, View};

use super::Registry;
use crate::actor::Actor;
use crate::error::StorageError;

macro_rules! acts {
    ($($(#[$doc:meta])* $act:ident = $name:literal,)*) => {
        /// What operators do. A test does each of them and looks for its record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Act {
            $($(#[$doc])* $act,)*
        }

        impl Act {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$act,)*];

            /// The `kind` of its records: stable, operators search for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$act => $name,)*
                }
            }
        }
    };
}

acts! {
    /// An individual enrollment or a group is written.
    PutEnrollment = "enrollment.put",
    /// One is deleted.
    DeleteEnrollment = "enrollment.delete",
    /// The keys of one are shown.
    ReadEnrollmentKeys = "enrollment.keys.read",
    /// The record of a registration is deleted.
    DeleteRegistration = "registration.delete",
    /// A device is shut out everywhere.
    BlockDevice = "device.block",
    /// A block is taken back.
    UnblockDevice = "device.unblock",
    /// A CA certificate is uploaded, replaced, or declared verified.
    PutCaCertificate = "authority.put",
    /// One is deleted.
    DeleteCaCertificate = "authority.delete",
    /// A verification code is handed out.
    NewVerificationCode = "authority.verificationCode",
    /// Possession of a CA's key is proven.
    VerifyCaCertificate = "authority.verify",
    /// An issuer of device certificates is made.
    CreateIssuer = "issuer.create",
    /// One is deleted.
    DeleteIssuer = "issuer.delete",
    /// A trust bundle is written.
    PutTrustBundle = "trustBundle.put",
    /// One is deleted.
    DeleteTrustBundle = "trustBundle.delete",
    /// A provisioning service is made.
    CreateService = "service.create",
    /// How a service chooses hubs is changed.
    SetAllocationPolicy = "service.allocationPolicy",
    /// The keys of a service are shown.
    ReadServiceKeys = "service.keys.read",
    /// A shared access policy is made.
    CreatePolicy = "policy.create",
    /// A key of one is replaced.
    RegeneratePolicyKey = "policy.regenerateKey",
    /// One is deleted.
    DeletePolicy = "policy.delete",
    /// The keys of one are shown.
    ReadPolicyKeys = "policy.keys.read",
    /// The key that signs requests to webhooks is shown.
    ReadWebhookKey = "webhook.key.read",
    /// A webhook is asked again what it was asked before.
    ReplayAllocation = "allocation.replay",
    /// A hub is made.
    CreateHub = "hub.create",
    /// One is deleted.
    DeleteHub = "hub.delete",
    /// A hub is linked to a service, or its link changed.
    LinkHub = "hub.link",
    /// A link is taken away.
    UnlinkHub = "hub.unlink",
    /// The keys of a hub are shown.
    ReadHubKeys = "hub.keys.read",
    /// A device identity is written.
    PutDevice = "device.put",
    /// One is deleted.
    DeleteDevice = "device.delete",
    /// A module identity is written.
    PutModule = "module.put",
    /// One is deleted.
    DeleteModule = "module.delete",
    /// Tags or desired properties are written.
    ChangeTwin = "twin.change",
    /// A configuration or deployment is written.
    PutConfiguration = "configuration.put",
    /// One is deleted.
    DeleteConfiguration = "configuration.delete",
    /// The content of a deployment is written to one device.
    ApplyConfiguration = "configuration.apply",
}

/// The store of a registry.
pub(super) struct Kept(Store);

impl Kept {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// See [`Store::read`].
    pub(super) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.read(work)
    }

    /// See [`Store::scan`].
    pub(super) async fn scan<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.scan(work).await
    }

    /// See [`Store::scan_shortly`].
    pub(super) async fn scan_shortly<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.scan_shortly(work).await
    }

    /// See [`Store::group_generation`].
    pub(super) fn group_generation(&self) -> u64 {
        self.0.group_generation()
    }

    /// Runs a unit: see [`Store::write`]. What it decides about a device it enters into the
    /// audit itself.
    pub(super) async fn commit<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.0.write(unit).await
    }

    /// The same for what nobody waits for.
    pub(super) async fn commit_in_background<U: Unit>(
        &self,
        unit: U,
    ) -> Result<U::Output, U::Error> {
        self.0.write_in_background(unit).await
    }

    /// A write that a device asked for: what is decided about it is entered where it is decided.
    pub(super) async fn for_device<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.write_once(work).await
    }

    /// The same for work that decides before it writes: transitional.
    pub(super) async fn for_device_decided<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.write_once(work).await
    }

    /// A write that nobody asked for now: loops that bring about what has been decided, and upkeep.
    pub(super) async fn of_itself<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.write_once(work).await
    }

    /// The same for what nobody waits for: transitional.
    pub(super) async fn behind<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.write_once_in_background(work).await
    }
}

/// What the record of an act says beside who did it and to what.
pub(super) type Particulars = Map<String, Value>;

impl Registry {
    /// The same registry in the hands of an operator: what he changes is entered into the audit with his name.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            actor: Some(Arc::new(actor)),
            ..self.clone()
        }
    }

    /// Enters an act that changes nothing here, such as showing keys; do it after this.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn disclose(&self, act: Act, target: impl Display) -> Result<(), StorageError> {
        self.act(act, target, |_| Ok(())).await
    }

    /// Runs a unit. When an operator does it, it and its record are durable together. `target` is
    /// what it is done to.
    pub async fn act_unit<U: Unit>(
        &self,
        act: Act,
        target: impl Display,
        unit: U,
    ) -> Result<U::Output, U::Error> {
        let Some(actor) = self.actor.clone() else {
            return self.inner.store.commit(unit).await;
        };
        let record = self.record(act, target, &actor);
        let recorded = Recorded {
            unit,
            at: actor.at,
            record,
            particulars: |_: &U::Output| Particulars::new(),
        };
        self.inner.store.commit(recorded).await
    }

    /// The same for a unit that has more to say of itself: it returns that beside its result.
    pub async fn act_unit_telling<T, U>(
        &self,
        act: Act,
        target: impl Display,
        unit: U,
    ) -> Result<T, U::Error>
    where
        U: Unit<Output = (T, Particulars)>,
        T: Send + 'static,
    {
        let Some(actor) = self.actor.clone() else {
            return self.inner.store.commit(unit).await.map(|(done, _)| done);
        };
        let record = self.record(act, target, &actor);
        let recorded = Recorded {
            unit,
            at: actor.at,
            record,
            particulars: |(_, particulars): &(T, Particulars)| particulars.clone(),
        };
        let (done, _) = self.inner.store.commit(recorded).await?;
        Ok(done)
    }

    fn record(&self, act: Act, target: impl Display, actor: &Actor) -> Value {
        json!({
            "kind": act.name(), "target": target.to_string(), "idScope": self.id_scope(),
            "policy": actor.policy, "requestId": actor.request_id, "address": actor.address,
        })
    }

    /// Runs a write. When an operator does it, it and its record are durable together. `target` is what it is done to.
    pub(super) async fn act<T, E, F>(&self, act: Act, target: impl Display, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.act_telling(act, target, move |tx, _| work(tx)).await
    }

    /// The same for work that has more to say of itself.
    pub(super) async fn act_telling<T, E, F>(
        &self,
        act: Act,
        target: impl Display,
        work: F,
    ) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>, &mut Particulars) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(actor) = self.actor.clone() else {
            let alone = move |tx: &Tx<'_>| work(tx, &mut Particulars::new());
            return self.inner.store.0.write_once(alone).await;
        };
        let record = self.record(act, target, &actor);
        let both = move |tx: &Tx<'_>| {
            let mut particulars = Particulars::new();
            let done = work(tx, &mut particulars)?;
            let mut record = record;
            for (name, value) in particulars {
                record[name] = value;
            }
            tx.audit(
                Book::Acts,
                actor.at.ticks(),
                record.to_string().into_bytes(),
            )?;
            Ok(done)
        };
        self.inner.store.0.write_once(both).await
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

    fn apply(&self, tx: &Tx<'_>, plan: U::Plan) -> Result<U::Output, StoreError> {
        let done = self.unit.apply(tx, plan)?;
        let mut record = self.record.clone();
        for (name, value) in (self.particulars)(&done) {
            record[name] = value;
        }
        let body = record.to_string().into_bytes();
        tx.audit(Book::Acts, self.at.ticks(), body)?;
        Ok(done)
    }
}
