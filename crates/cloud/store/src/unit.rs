use ids::{CertificateSerial, DeviceId, HubName};

use crate::{StoreError, Tx, View};

/// A write that may run again.
///
/// A unit first decides on what it reads, then writes what it decided. Both steps run in one
/// transaction, on the storage engine's thread. The engine may throw a run away and run the unit
/// again: when another unit of the same commit failed, when a row changed under an optimistic
/// engine, or in the rehearse mode of tests. So a run must depend on nothing but the unit and the
/// rows it reads: clocks, randomness and keys are read before and stand in the unit.
pub trait Unit: Send + 'static {
    type Plan;
    /// The result of the caller, sent after the commit is on disk.
    type Output: Send + 'static;
    /// Why the unit may refuse.
    type Error: From<StoreError> + Send + 'static;

    /// The rows that nobody else may write while this unit runs, as far as they are known before
    /// anything is read. Asked for by engines with several writers, and by the rehearse mode.
    fn locks(&self) -> Vec<Lock<'_>>;

    /// The rows that only the plan names. An engine that does not hold them takes
    /// them and decides again.
    fn locks_of_plan<'a>(&'a self, plan: &'a Self::Plan) -> Vec<Lock<'a>> {
        let _ = plan;
        Vec::new()
    }

    /// Reads, checks and decides. Writes nothing, so that a refusal leaves nothing to take back.
    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, Self::Error>;

    /// The refusal for a write that broke a uniqueness constraint each time it ran: the look that
    /// finds who has the key. Only for units that do not look in [`decide`](Self::decide), because
    /// it would cost every one of them.
    fn refuse_taken(&self, view: &View<'_>) -> Result<(), Self::Error> {
        let _ = view;
        Ok(())
    }

    /// Writes what was decided. Fails only with the storage; a stored row that cannot be read is
    /// damage of the storage ([`View::damaged`]).
    fn apply(&self, tx: &Tx<'_>, plan: Self::Plan) -> Result<Self::Output, StoreError>;
}

/// What a unit must have to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock<'a> {
    /// Everything: for the rare acts that change which hubs and services there are.
    Directory,
    /// A provisioning service with its policies, linked hubs, CA certificates,
    /// issuers and trust bundles.
    Service { id_scope: &'a str },
    Enrollment {
        id_scope: &'a str,
        /// The registration id in lower case.
        folded: &'a str,
    },
    EnrollmentGroup {
        id_scope: &'a str,
        /// The group id in lower case.
        folded: &'a str,
    },
    /// A registration: its record, its pending attempt, its block.
    Registration {
        id_scope: &'a str,
        /// The registration id in lower case.
        folded: &'a str,
    },
    /// A certificate that an issuer of the service has issued.
    IssuedCertificate {
        id_scope: &'a str,
        serial: CertificateSerial,
    },
    /// The log of the certificates that a service has issued, which are numbered.
    CertificateLog { id_scope: &'a str },
    /// A user of an issuer: what it may still have issued.
    IssuerUser {
        id_scope: &'a str,
        /// The issuer's name in lower case.
        issuer: &'a str,
        /// The user name in lower case.
        folded: &'a str,
    },
    /// The records of custom allocations of a service, which are numbered.
    AllocationLog { id_scope: &'a str },
    /// The refusals of a service, which are numbered.
    RefusalLog { id_scope: &'a str },
    /// A device: its identity, modules and twins, its targets, its place in the targeting queue,
    /// its remote task, and the cloud-to-device messages of all of them.
    Device { hub: &'a str, device_id: &'a str },
    /// The notifications of a hub for back ends, which are numbered.
    Notifications { hub: &'a str },
    /// The configurations of a hub and its full pass.
    Hub { hub: &'a str },
    /// The jobs of a hub. What a job does to a device is under the lock of the device.
    Jobs { hub: &'a str },
}

impl<'a> Lock<'a> {
    #[must_use]
    pub fn hub(hub: &'a HubName) -> Self {
        Self::Hub { hub: hub.as_str() }
    }

    #[must_use]
    pub fn device(hub: &'a HubName, device_id: &'a DeviceId) -> Self {
        Self::Device {
            hub: hub.as_str(),
            device_id: device_id.as_str(),
        }
    }

    /// The lock that includes this one: a service its enrollments and registrations, a hub its
    /// devices, the directory everything.
    pub(crate) fn parent(self) -> Option<Self> {
        match self {
            Self::Directory => None,
            Self::Service { .. } | Self::Hub { .. } => Some(Self::Directory),
            Self::Enrollment { id_scope, .. }
            | Self::EnrollmentGroup { id_scope, .. }
            | Self::Registration { id_scope, .. }
            | Self::IssuedCertificate { id_scope, .. }
            | Self::CertificateLog { id_scope }
            | Self::IssuerUser { id_scope, .. }
            | Self::AllocationLog { id_scope }
            | Self::RefusalLog { id_scope } => Some(Self::Service { id_scope }),
            Self::Device { hub, .. } | Self::Jobs { hub } | Self::Notifications { hub } => {
                Some(Self::Hub { hub })
            }
        }
    }
}

/// A unit made of a value and functions on it, for writes that need no type of their own.
pub fn unit<S, L, D, A, P, T, E>(
    state: S,
    locks: L,
    decide: D,
    apply: A,
) -> impl Unit<Plan = P, Output = T, Error = E>
where
    S: Send + 'static,
    L: for<'a> Fn(&'a S) -> Vec<Lock<'a>> + Send + 'static,
    D: Fn(&S, &View<'_>) -> Result<P, E> + Send + 'static,
    A: Fn(&S, &Tx<'_>, P) -> Result<T, StoreError> + Send + 'static,
    P: 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Closures {
        state,
        locks,
        decide,
        apply,
    }
}

struct Closures<S, L, D, A> {
    state: S,
    locks: L,
    decide: D,
    apply: A,
}

impl<S, L, D, A, P, T, E> Unit for Closures<S, L, D, A>
where
    S: Send + 'static,
    L: for<'a> Fn(&'a S) -> Vec<Lock<'a>> + Send + 'static,
    D: Fn(&S, &View<'_>) -> Result<P, E> + Send + 'static,
    A: Fn(&S, &Tx<'_>, P) -> Result<T, StoreError> + Send + 'static,
    P: 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    type Plan = P;
    type Output = T;
    type Error = E;

    fn locks(&self) -> Vec<Lock<'_>> {
        (self.locks)(&self.state)
    }

    fn decide(&self, view: &View<'_>) -> Result<P, E> {
        (self.decide)(&self.state, view)
    }

    fn apply(&self, tx: &Tx<'_>, plan: P) -> Result<T, StoreError> {
        (self.apply)(&self.state, tx, plan)
    }
}
