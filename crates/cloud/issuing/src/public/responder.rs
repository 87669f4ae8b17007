use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ca::DeviceIssuers;
use ids::{CertificateSerial, Timestamp};
use pki::{CertId, OcspAnswer, OcspFailure, OcspRequest, OcspStatus, ocsp_failure};
use provisioning::{IssuedState, Provisioning};

use super::PublicError;
use super::generation::{CaId, PublishedCa};
use super::revoked::reason;
use super::signature_budget::SignatureBudget;

/// nextUpdate of an answer, after its thisUpdate.
const VALIDITY: Duration = Duration::from_secs(12 * 60 * 60);
/// An answer is signed again after this time.
const RENEWAL: Duration = Duration::from_secs(6 * 60 * 60);
/// Answers that are kept, at least: two of them have about a kilobyte.
const KEPT: usize = 50_000;
/// Answers a second that are signed to be kept.
const KEPT_RATE: u32 = 200;
/// Answers a second that are signed for one request: those with a nonce, for several certificates,
/// or for one that does not exist.
const FRESH_RATE: u32 = 100;

/// Answers OCSP requests.
pub(super) struct Responder {
    signed: Mutex<SignedAnswers>,
    kept_budget: SignatureBudget,
    fresh_budget: SignatureBudget,
}

impl Default for Responder {
    fn default() -> Self {
        Self {
            signed: Mutex::default(),
            kept_budget: SignatureBudget::new(KEPT_RATE),
            fresh_budget: SignatureBudget::new(FRESH_RATE),
        }
    }
}

/// An answer, and until when it may be kept by others.
pub(super) struct Answered {
    pub(super) der: Bytes,
    /// thisUpdate and nextUpdate; `None` when it must not be kept.
    pub(super) fresh: Option<(Timestamp, Timestamp)>,
}

impl From<OcspFailure> for Answered {
    fn from(failure: OcspFailure) -> Self {
        Self {
            der: Bytes::copy_from_slice(&ocsp_failure(failure)),
            fresh: None,
        }
    }
}

impl Responder {
    pub(super) async fn answer(
        &self,
        keys: &Arc<DeviceIssuers>,
        service: &Provisioning,
        ca: &PublishedCa,
        request: &[u8],
        now: Timestamp,
    ) -> Result<Answered, PublicError> {
        let Ok(request) = OcspRequest::read(request) else {
            return Ok(OcspFailure::MalformedRequest.into());
        };
        if !request.ids.iter().any(|id| ca.hashes.name(id)) {
            return Ok(OcspFailure::Unauthorized.into());
        }
        let mut statuses = Vec::with_capacity(request.ids.len());
        for id in &request.ids {
            statuses.push(status(service, ca, id)?);
        }
        match (request.ids.as_slice(), statuses.as_slice(), request.nonce) {
            ([id], [status], None) if *status != OcspStatus::Unknown => {
                self.kept_answer(keys, ca, id, *status, now).await
            }
            _ => self.fresh_answer(keys, ca, &request, &statuses, now).await,
        }
    }

    /// An answer that was signed before, or is signed now and kept.
    async fn kept_answer(
        &self,
        keys: &Arc<DeviceIssuers>,
        ca: &PublishedCa,
        id: &CertId<'_>,
        status: OcspStatus,
        now: Timestamp,
    ) -> Result<Answered, PublicError> {
        let key = (ca.key(), id.der().into());
        let found = self.signed().get(&key);
        if let Some(found) = found.filter(|found| found.is_good(status, now)) {
            return Ok(found.answered());
        }
        if !self.kept_budget.spend(now) {
            return Ok(OcspFailure::TryLater.into());
        }
        let der = sign(keys, ca, vec![(id.der().into(), status)], None, now).await?;
        let signed = SignedAnswer {
            der,
            status,
            this_update: now,
        };
        let answered = signed.answered();
        self.signed().insert(key, signed);
        Ok(answered)
    }

    async fn fresh_answer(
        &self,
        keys: &Arc<DeviceIssuers>,
        ca: &PublishedCa,
        request: &OcspRequest<'_>,
        statuses: &[OcspStatus],
        now: Timestamp,
    ) -> Result<Answered, PublicError> {
        if !self.fresh_budget.spend(now) {
            return Ok(OcspFailure::TryLater.into());
        }
        let ids = request.ids.iter().map(|id| id.der().into());
        let answers = ids.zip(statuses.iter().copied()).collect();
        let nonce = request.nonce.map(Box::from);
        let der = sign(keys, ca, answers, nonce, now).await?;
        Ok(Answered { der, fresh: None })
    }

    fn signed(&self) -> std::sync::MutexGuard<'_, SignedAnswers> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(
    service: &Provisioning,
    ca: &PublishedCa,
    id: &CertId<'_>,
) -> Result<OcspStatus, PublicError> {
    let serial = CertificateSerial::from_bytes(id.serial).ok();
    let Some(serial) = serial.filter(|_| ca.hashes.name(id)) else {
        return Ok(OcspStatus::Unknown);
    };
    let listed = service.issued_certificates(&serial)?;
    let found = listed
        .iter()
        .find(|one| ca.authorities.contains(&one.authority));
    Ok(found.map_or(OcspStatus::Unknown, |one| match one.state {
        IssuedState::Valid => OcspStatus::Good,
        IssuedState::Held | IssuedState::Revoked => OcspStatus::Revoked {
            when: one.changed.unwrap_or(one.issued),
            reason: reason(one.state, one.reason.as_deref()),
        },
    }))
}

/// Signs apart from what answers requests: RSA takes milliseconds, a token longer.
async fn sign(
    keys: &Arc<DeviceIssuers>,
    ca: &PublishedCa,
    answers: Vec<(Box<[u8]>, OcspStatus)>,
    nonce: Option<Box<[u8]>>,
    now: Timestamp,
) -> Result<Bytes, PublicError> {
    let (keys, signer) = (keys.clone(), ca.signer());
    let signing = tokio::task::spawn_blocking(move || {
        let answer = |(cert_id, status)| OcspAnswer {
            cert_id,
            status,
            this_update: now,
            next_update: Some(now.plus(VALIDITY)),
        };
        let answers = answers.iter().map(|(id, status)| (&**id, *status));
        let answers: Vec<_> = answers.map(answer).collect();
        keys.sign_ocsp(&signer, &answers, nonce.as_deref(), now)
    });
    Ok(signing.await??.into())
}

#[derive(Clone)]
struct SignedAnswer {
    der: Bytes,
    status: OcspStatus,
    this_update: Timestamp,
}

impl SignedAnswer {
    fn is_good(&self, status: OcspStatus, now: Timestamp) -> bool {
        self.status == status && now < self.this_update.plus(RENEWAL)
    }

    fn answered(&self) -> Answered {
        Answered {
            der: self.der.clone(),
            fresh: Some((self.this_update, self.this_update.plus(VALIDITY))),
        }
    }
}

type AnswerKey = (CaId, Box<[u8]>);

/// Signed answers in two halves: when the younger one is full, the older one is dropped. Those that
/// are asked for move into the younger one.
#[derive(Default)]
struct SignedAnswers {
    young: HashMap<AnswerKey, SignedAnswer>,
    old: HashMap<AnswerKey, SignedAnswer>,
}

impl SignedAnswers {
    fn get(&mut self, key: &AnswerKey) -> Option<SignedAnswer> {
        if let Some(found) = self.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = self.old.remove_entry(key)?;
        self.insert(key, found.clone());
        Some(found)
    }

    fn insert(&mut self, key: AnswerKey, answer: SignedAnswer) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, answer);
    }
}
