//! The public corner, `/pki/…`: CA certificates, revocation lists and OCSP answers, for all that
//! verify what issuers issue. Nothing in it is secret and nobody proves an identity; the issuing
//! key signs at a bounded rate, whatever is asked.

pub(crate) mod addresses;
mod answer;
mod generation;
mod lists;
mod log;
mod responder;
mod revoked;
mod signature_budget;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use ca::{CaError, DeviceIssuers, IssuerError};
use ids::Timestamp;
use provisioning::Provisioning;
use registry::StorageError;
use tokio::sync::watch;
use wire::public_pki::PublicPath;

use generation::Generations;
use lists::{Lists, Wanting};
use log::Checkpoints;
use responder::Responder;

/// How often the lists are looked at: a revocation is in the list after that, asked for or not.
const TURN: Duration = Duration::from_secs(1);
/// How often all issuers are read although no certificate was revoked, so that lists are renewed.
const QUIET_TURNS: u32 = 600;

/// What the issuers of all provisioning services of a process publish.
pub struct PublicCorner {
    keys: Arc<DeviceIssuers>,
    generations: Generations,
    lists: Lists,
    responder: Responder,
    /// `None` when the log is not published.
    checkpoints: Option<Checkpoints>,
}

/// Why something that is published cannot be answered with.
#[derive(Debug, thiserror::Error)]
pub enum PublicError {
    /// No CA signed this.
    #[error("the issuing key cannot be used")]
    Key(#[from] Box<IssuerError>),
    #[error("the key of the log cannot be used")]
    LogKey(#[from] Box<CaError>),
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A CA certificate in the storage cannot be read.
    #[error("a stored CA certificate cannot be read")]
    Damaged(#[from] pki::PemError),
    /// The issuing keys have signed enough lists for clients in this second.
    #[error("too many lists are asked for that have to be signed")]
    Busy,
    /// The task that signs has panicked.
    #[error("signing ended early")]
    Ended(#[from] tokio::task::JoinError),
}

impl From<IssuerError> for PublicError {
    fn from(error: IssuerError) -> Self {
        Self::Key(Box::new(error))
    }
}

impl From<CaError> for PublicError {
    fn from(error: CaError) -> Self {
        Self::LogKey(Box::new(error))
    }
}

impl PublicCorner {
    /// What issuers with these keys publish, and the logs of issued certificates.
    #[must_use]
    pub fn new(keys: Arc<DeviceIssuers>, publishes_logs: bool) -> Self {
        Self {
            keys,
            generations: Generations::default(),
            lists: Lists::default(),
            responder: Responder::default(),
            checkpoints: publishes_logs.then(Checkpoints::default),
        }
    }

    /// Answers a request below `/pki`. `provisioning` is the service that it was sent to; a path
    /// with a generation is found in the others, too, because certificates name one host.
    pub async fn answer(
        &self,
        provisioning: &Provisioning,
        now: Timestamp,
        request: Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let Some(path) = PublicPath::parse(parts.uri.path()) else {
            return answer::not_found();
        };
        match self.generations.find(provisioning, &path) {
            Ok(Some((service, ca))) => {
                let asked = answer::Asked {
                    corner: self,
                    service: &service,
                    ca: &ca,
                    now,
                };
                asked.respond(path.item, &parts, body).await
            }
            Ok(None) => answer::not_found(),
            Err(error) => answer::failed(&error),
        }
    }

    /// Keeps every list current until `stopping` turns true, so that no client waits for one.
    pub async fn run(
        &self,
        provisioning: &Provisioning,
        clock: &(dyn Fn() -> Timestamp + Send + Sync),
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut refreshed = None;
        let mut turns = 0;
        loop {
            let generation = provisioning.revocations_generation();
            if refreshed != Some(generation) || turns >= QUIET_TURNS {
                self.refresh(provisioning, clock()).await;
                (refreshed, turns) = (Some(generation), 0);
            }
            turns += 1;
            // Cancel-safe: both only wait.
            tokio::select! {
                () = tokio::time::sleep(TURN) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    async fn refresh(&self, provisioning: &Provisioning, now: Timestamp) {
        let mut published = HashSet::new();
        for service in provisioning.services().iter() {
            let Some(service) = provisioning.for_scope(service.id_scope.as_str()) else {
                continue;
            };
            let all = match self.generations.all(&service) {
                Ok(all) => all,
                Err(error) => {
                    let error = ids::error_chain(&error);
                    tracing::warn!(error, "the issuers of a service cannot be read");
                    continue;
                }
            };
            for ca in all {
                published.insert(ca.key());
                if !ca.signs_lists() {
                    continue;
                }
                let wanted = (&*ca, None);
                let (lists, by) = (&self.lists, Wanting::Server);
                let list = lists.current(&self.keys, &service, wanted, by, now);
                if let Err(error) = list.await {
                    let error = ids::error_chain(&error);
                    let issuer = ca.issuer.as_str();
                    tracing::warn!(issuer, error, "a revocation list cannot be made");
                }
            }
        }
        self.lists.keep(&published);
    }
}
