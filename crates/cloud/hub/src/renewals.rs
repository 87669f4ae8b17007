//! Other certificates for connected devices: who issues them, and the requests that are pending.
//!
//! A request outlives the session that sent it: a device that connects again and subscribes gets
//! the answer. What is here is lost with the process; the device asks again and is answered with
//! the same certificate.

use std::collections::HashMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::{Identity, Timestamp};
use registry::revocation::ProvenPath;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;
use wire::device_api::certificate_renewal::Replace;

/// How long a request is pending, and then how long its answer is held for the device.
const LIFETIME: Duration = Duration::from_secs(120);

/// A connected device asks for another certificate.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    pub device: Identity,
    /// The certificate that it is connected with. It stays good.
    pub presented: ProvenPath,
    /// PKCS#10, not looked at.
    pub csr: Vec<u8>,
}

/// DER: the device's certificate first, each followed by its issuer.
pub type CertificateChain = Vec<Vec<u8>>;

/// Resolves when the certificate is durable and opens the hub.
pub type Issuing =
    Pin<Box<dyn Future<Output = Result<CertificateChain, CertificateRefused>> + Send>>;

/// Issues certificates to connected devices. The hub knows no issuer.
pub trait CertificateIssuer: Send + Sync {
    fn issue(&self, request: CertificateRequest) -> Issuing;
}

/// Why a connected device gets no certificate. The device reads the text.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefused {
    #[error("this device gets no certificate from its hub: {0}")]
    NotEntitled(String),
    #[error("{0}")]
    Request(String),
    #[error("the server failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

pub(crate) type Answer = Arc<Result<CertificateChain, CertificateRefused>>;

/// A request that is pending, or whose answer no session has taken yet.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) request_id: String,
    /// Names it in the log.
    pub(crate) correlation_id: String,
    pub(crate) expires: Timestamp,
    answer: watch::Sender<Option<Answer>>,
    /// Notified when a session has taken the answer, to send it.
    sent: Notify,
    work: Mutex<Option<AbortHandle>>,
}

impl Operation {
    fn new(request_id: &str, now: Timestamp) -> Self {
        Self {
            request_id: request_id.to_owned(),
            correlation_id: Uuid::new_v4().to_string(),
            expires: now.plus(LIFETIME),
            answer: watch::Sender::new(None),
            sent: Notify::new(),
            work: Mutex::default(),
        }
    }

    /// Runs the work whose result is its answer, and then holds that until it is sent.
    pub(crate) fn run(
        self: Arc<Self>,
        issuing: Issuing,
        forget: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let operation = self.clone();
        let work = tokio::spawn(async move {
            let issued = tokio::time::timeout(LIFETIME, issuing).await;
            let answer = issued.unwrap_or_else(|late| Err(CertificateRefused::Failed(late.into())));
            operation.answer.send_replace(Some(Arc::new(answer)));
            tokio::select! {
                () = operation.sent.notified() => {}
                () = tokio::time::sleep(LIFETIME) => {}
            }
            forget(&operation);
        });
        *locked(&self.work) = Some(work.abort_handle());
    }

    fn is_pending(&self, now: Timestamp) -> bool {
        self.expires > now && self.answer.borrow().is_none()
    }

    /// Resolves with the answer. Cancel-safe.
    pub(crate) async fn answer(&self) -> Answer {
        let mut answers = self.answer.subscribe();
        let found = answers.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|answer| answer.clone());
        match found {
            Some(answer) => answer,
            // `self` holds the sender.
            None => std::future::pending().await,
        }
    }
}

/// Why a request does not become pending.
pub(crate) enum NotBegun {
    /// Another one of the device is.
    Pending(Arc<Operation>),
    /// None of the id is that it was to replace.
    NothingToReplace(String),
}

/// At most one request a device. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Renewals {
    operations: Arc<Mutex<HashMap<Identity, Arc<Operation>>>>,
}

impl Renewals {
    pub(crate) fn begin(
        &self,
        device: &Identity,
        request_id: &str,
        replace: Option<&Replace>,
        now: Timestamp,
    ) -> Result<Arc<Operation>, NotBegun> {
        let mut operations = locked(&self.operations);
        let before = operations.get(device);
        let pending = before.filter(|before| before.is_pending(now));
        match (replace, pending) {
            (Some(Replace::Request(id)), found)
                if found.is_none_or(|pending| pending.request_id != *id) =>
            {
                return Err(NotBegun::NothingToReplace(id.clone()));
            }
            (None, Some(pending)) => return Err(NotBegun::Pending(pending.clone())),
            _ => {}
        }
        if let Some(work) = before.and_then(|before| locked(&before.work).take()) {
            work.abort();
        }
        let operation = Arc::new(Operation::new(request_id, now));
        operations.insert(device.clone(), operation.clone());
        Ok(operation)
    }

    /// What the device asked for last, if no session has taken the answer.
    pub(crate) fn of(&self, device: &Identity) -> Option<Arc<Operation>> {
        locked(&self.operations).get(device).cloned()
    }

    /// A session has taken the answer, to send it: should it be lost on the way, the device asks
    /// again.
    pub(crate) fn sent(&self, device: &Identity, operation: &Arc<Operation>) {
        operation.sent.notify_one();
        self.forget(device, operation);
    }

    pub(crate) fn forget(&self, device: &Identity, operation: &Arc<Operation>) {
        let mut operations = locked(&self.operations);
        let now = operations.get(device);
        if now.is_some_and(|now| Arc::ptr_eq(now, operation)) {
            operations.remove(device);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
