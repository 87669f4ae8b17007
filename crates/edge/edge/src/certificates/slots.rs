//! A certificate, its key and their successors, as kept on disk: one file, written as a whole.

use std::path::Path;

use device::renewal::{self, Candidate};
use ids::Timestamp;
use pki::Certificate;
use serde::{Deserialize, Serialize};
use wire::binary::Base64Bytes;

use crate::files::durable::{self, DurableError};

/// A key that was made for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldKey {
    /// Under which the key is kept.
    pub id: String,
    /// The certificate request (PKCS#10, DER). An issuer that asks for time wants to get the same
    /// request again.
    pub request: Base64Bytes,
    /// A digest of what the certificate was to be when the key was made.
    pub made_for: String,
}

/// A certificate, followed by its issuers.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldChain(pub Vec<Certificate>);

pub(crate) type Slots = renewal::Slots<HeldKey, HeldChain>;
pub(crate) type Held = renewal::Credential<HeldKey, HeldChain>;

/// What is kept about one certificate.
#[derive(Debug, Clone)]
pub struct Kept {
    pub(crate) slots: Slots,
    /// Numbers the next key.
    pub(crate) next_key: u64,
    /// Keys that nothing uses any more and that may still be there.
    pub(crate) retired_keys: Vec<String>,
    /// The last certificates of earlier chains, as long as they are valid: what an earlier CA has
    /// issued is still in use.
    pub(crate) former: Vec<Certificate>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            slots: Slots::empty(),
            next_key: 1,
            retired_keys: Vec::new(),
            former: Vec::new(),
        }
    }
}

/// The number of the next key when the record is lost: no key has it, because keys are counted from
/// one, and an earlier damage got another number.
fn first_key_after_damage() -> u64 {
    1 << 32 | u64::from(rand::random::<u32>() >> 1)
}

/// Puts a chain and its key together.
pub(crate) fn held(key: HeldKey, leaf: Certificate, issuers: Vec<Certificate>) -> Held {
    let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
    Held {
        key,
        certificate: HeldChain(std::iter::once(leaf).chain(issuers).collect()),
        not_before,
        not_after,
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    next_key: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<CredentialRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired_keys: Vec<String>,
    /// PEM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct CredentialRecord {
    key: HeldKey,
    /// PEM, leaf first.
    certificate: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CandidateRecord {
    Requested(HeldKey),
    Issued(CredentialRecord),
}

impl Kept {
    /// Reads the file. One that is damaged is set aside, and another certificate is requested.
    pub(crate) fn load(path: &Path) -> Result<Self, DurableError> {
        let record = match durable::read_json::<Record>(path) {
            Err(DurableError::Damaged { path, source }) => {
                let aside = durable::set_aside(&path)?;
                tracing::error!(
                    path = %aside.display(),
                    error = %source,
                    "the record of a certificate is damaged and was set aside; the certificate and \
                     its key are used no more, and another one is requested"
                );
                return Ok(Self {
                    next_key: first_key_after_damage(),
                    ..Self::default()
                });
            }
            other => other?,
        };
        let Some(record) = record else {
            return Ok(Self::default());
        };
        let active = record.active.and_then(CredentialRecord::read);
        let slots = active.map_or_else(Slots::empty, Slots::first);
        let slots = match record.candidate {
            None => slots,
            Some(CandidateRecord::Requested(key)) => slots.with_key(key),
            Some(CandidateRecord::Issued(issued)) => {
                let with_key = slots.with_key(issued.key.clone());
                let issued = issued.read();
                let both = issued.and_then(|issued| with_key.with_certificate(issued).ok());
                both.unwrap_or(with_key)
            }
        };
        let former = record.former.iter();
        let former = former.filter_map(|pem| Certificate::parse_pem_bundle(pem).ok());
        Ok(Self {
            slots,
            next_key: record.next_key,
            retired_keys: record.retired_keys,
            former: former.flatten().collect(),
        })
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), DurableError> {
        let candidate = self.slots.candidate().map(|candidate| match candidate {
            Candidate::Requested(key) => CandidateRecord::Requested(key.clone()),
            Candidate::Issued(issued) => CandidateRecord::Issued(CredentialRecord::of(issued)),
        });
        let record = Record {
            next_key: self.next_key,
            active: self.slots.active().map(CredentialRecord::of),
            candidate,
            retired_keys: self.retired_keys.clone(),
            former: self.former.iter().map(Certificate::to_pem).collect(),
        };
        durable::write_json(path, &record)
    }

    /// Notes the end of the chain that another certificate replaces, and forgets those that have
    /// expired.
    pub(crate) fn note_former(&mut self, replaced: &HeldChain, now: Timestamp) {
        let end = replaced.0.last().cloned();
        let new = end.filter(|one| !self.former.contains(one));
        self.former.extend(new);
        self.former.retain(|one| one.not_after() >= now);
    }
}

impl CredentialRecord {
    fn of(held: &Held) -> Self {
        Self {
            key: held.key.clone(),
            certificate: pem(&held.certificate.0),
        }
    }

    fn read(self) -> Option<Held> {
        let chain = Certificate::parse_pem_bundle(&self.certificate);
        let mut chain = chain.unwrap_or_default().into_iter();
        let Some(leaf) = chain.next() else {
            tracing::error!(
                key = %self.key.id,
                "a certificate in the record is damaged; another one is requested"
            );
            return None;
        };
        Some(held(self.key, leaf, chain.collect()))
    }
}

/// Certificates as PEM, one after another.
pub(crate) fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}
