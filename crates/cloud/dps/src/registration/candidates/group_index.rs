//! The enrollment groups of a service, in memory: a registration finds its group without reading.

use std::sync::{Arc, PoisonError, RwLock};

use ids::Thumbprint;
use pki::Certificate;
use provisioning::Provisioning;
use tokio::sync::Mutex;

use crate::registration::enrollment::{Enrollment, UnreadableEnrollment};
use crate::registration::not_proven::NotProven;

mod by_certificate;
mod parsed;

use by_certificate::ByCertificate;
use parsed::ParsedGroups;

/// Groups with certificates that are kept in memory, about 6 KiB each. For a service that has more,
/// every registration reads its groups from the store.
const MOST: usize = 1024;

/// An index over the groups of one service. It is used as long as the store's group
/// generation is the one that it was read at: each write of a group, or of a CA certificate
/// that a group refers to, bumps that.
#[derive(Debug, Default)]
pub struct GroupIndex {
    current: RwLock<Option<Arc<Groups>>>,
    /// Held while the groups are read, by one request at a time.
    reading: Mutex<()>,
    parsed: ParsedGroups,
}

/// The groups as of one generation.
#[derive(Debug)]
struct Groups {
    generation: u64,
    /// `None` when there are too many, or one of them cannot be parsed.
    by_certificate: Option<ByCertificate>,
    /// All of them: a token does not say which group it is for. Their number is
    /// bounded where they are written.
    with_keys: Result<Arc<[Arc<Enrollment>]>, UnreadableEnrollment>,
}

/// Where the groups of issuers are found.
pub enum CertificateGroups<'a> {
    InMemory(Remembered),
    InStore(&'a Provisioning, &'a ParsedGroups),
}

/// The groups with certificates, when they are in memory.
pub struct Remembered(Arc<Groups>);

/// The name of a CA, by which its certificates are found.
#[derive(Debug, Clone, Copy)]
pub struct Name<'c> {
    /// In the form in which names are compared.
    pub key: &'c [u8],
    pub der: &'c [u8],
}

impl<'c> Name<'c> {
    pub fn of_issuer(certificate: &'c Certificate) -> Self {
        Self {
            key: certificate.issuer_key(),
            der: certificate.issuer_der(),
        }
    }

    pub fn of_subject(certificate: &'c Certificate) -> Self {
        Self {
            key: certificate.subject_key(),
            der: certificate.subject_der(),
        }
    }
}

impl GroupIndex {
    pub async fn with_certificates<'a>(
        &'a self,
        provisioning: &'a Provisioning,
    ) -> Result<CertificateGroups<'a>, NotProven> {
        let groups = self.groups(provisioning).await?;
        Ok(match groups.by_certificate {
            Some(_) => CertificateGroups::InMemory(Remembered(groups)),
            None => CertificateGroups::InStore(provisioning, &self.parsed),
        })
    }

    /// Fails when the store fails, or one of the groups cannot be parsed.
    pub async fn with_keys(
        &self,
        provisioning: &Provisioning,
    ) -> Result<Arc<[Arc<Enrollment>]>, NotProven> {
        let groups = self.groups(provisioning).await?;
        Ok(groups.with_keys.clone()?)
    }

    async fn groups(&self, provisioning: &Provisioning) -> Result<Arc<Groups>, NotProven> {
        let wanted = provisioning.group_generation();
        match self.as_of(wanted) {
            Some(groups) => Ok(groups),
            None => self.read(wanted, provisioning).await,
        }
    }

    /// What is in memory, if it is of this generation or a later one.
    fn as_of(&self, generation: u64) -> Option<Arc<Groups>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let current = current.as_ref();
        let current = current.filter(|groups| groups.generation >= generation);
        current.cloned()
    }

    async fn read(
        &self,
        wanted: u64,
        provisioning: &Provisioning,
    ) -> Result<Arc<Groups>, NotProven> {
        let _alone = self.reading.lock().await;
        // Another request may have read them while this one waited, although more
        // may have been written since.
        if let Some(groups) = self.as_of(wanted) {
            return Ok(groups);
        }
        // Before the groups are read: what is written meanwhile makes the result count as old.
        let generation = provisioning.group_generation();
        let with_certificates = provisioning.groups_with_certificates(MOST).await?;
        let with_certificates = with_certificates.map(|records| self.parsed.all(&records));
        let with_keys = self.parsed.all(&provisioning.groups_with_keys().await?);
        let groups = Arc::new(Groups {
            generation,
            // One that cannot be parsed is a fault of the devices that come through it alone.
            by_certificate: with_certificates
                .and_then(Result::ok)
                .map(ByCertificate::new),
            with_keys: with_keys.map(Arc::from),
        });
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(groups.clone());
        Ok(groups)
    }
}

impl CertificateGroups<'_> {
    /// The groups with one of these CA certificates, in the order of the certificates.
    pub async fn by_certificate(
        &self,
        presented: &[Thumbprint],
    ) -> Result<Vec<Arc<Enrollment>>, NotProven> {
        match self {
            Self::InMemory(groups) => Ok(groups.by_certificate(presented)),
            Self::InStore(provisioning, parsed) => {
                let records = provisioning.groups_by_certificate(presented).await?;
                Ok(parsed.all(&records)?)
            }
        }
    }

    /// The groups with a CA certificate whose subject is one of these names.
    pub async fn by_subjects(&self, names: &[Name<'_>]) -> Result<Vec<Arc<Enrollment>>, NotProven> {
        match self {
            Self::InMemory(groups) => Ok(groups.by_subjects(names)),
            Self::InStore(provisioning, parsed) => {
                // What an earlier version wrote is found by its DER.
                let names = names.iter().flat_map(|name| [name.key, name.der]);
                let names: Vec<&[u8]> = names.collect();
                let records = provisioning.groups_by_subject(&names).await?;
                Ok(parsed.all(&records)?)
            }
        }
    }
}

impl Remembered {
    fn by_certificate(&self, presented: &[Thumbprint]) -> Vec<Arc<Enrollment>> {
        self.find(|groups| groups.with_certificates(presented))
    }

    fn by_subjects(&self, names: &[Name<'_>]) -> Vec<Arc<Enrollment>> {
        self.find(|groups| groups.with_subjects(names))
    }

    fn find(
        &self,
        find: impl FnOnce(&ByCertificate) -> Vec<Arc<Enrollment>>,
    ) -> Vec<Arc<Enrollment>> {
        self.0.by_certificate.as_ref().map(find).unwrap_or_default()
    }
}
