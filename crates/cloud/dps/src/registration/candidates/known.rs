use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ids::Thumbprint;
use pki::Certificate;
use provisioning::Provisioning;
use tokio::sync::Mutex;

use super::GroupCache;
use crate::registration::enrollment::{Anchor, Attestation, Entry};
use crate::registration::refusal::NotProven;

/// Groups kept in memory of each service, about 6 KiB each. A service with more looks into the database for every registration.
const MOST: usize = 1024;

/// A service's groups of devices with certificates, in memory, so that a registration finds its group without reading.
///
/// What is in memory is used only as long as the storage has not written any group, or any authority that a group refers to.
#[derive(Debug, Default)]
pub struct KnownGroups {
    index: RwLock<Option<Arc<Index>>>,
    /// Held by the one who reads.
    reading: Mutex<()>,
}

/// Where the groups of issuers are found.
pub enum Groups<'a> {
    /// In memory.
    Known(Arc<Index>),
    /// In the database: there are too many, or one of them cannot be read.
    Stored(&'a Provisioning, &'a GroupCache),
}

/// Groups by the certificates that their devices' chains may lead to.
#[derive(Debug)]
pub struct Index {
    /// As of which change.
    group_generation: u64,
    /// `None` when the database has to be asked.
    groups: Option<ByCertificate>,
}

#[derive(Debug, Default)]
struct ByCertificate {
    thumbprints: HashMap<Thumbprint, Arc<Entry>>,
    subjects: HashMap<Vec<u8>, Vec<Arc<Entry>>>,
}

impl KnownGroups {
    /// Where this service's groups are found now.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find<'a>(
        &self,
        registry: &'a Provisioning,
        cache: &'a GroupCache,
    ) -> Result<Groups<'a>, NotProven> {
        let wanted = registry.group_generation();
        let index = match self.as_of(wanted) {
            Some(index) => index,
            None => self.read(wanted, registry, cache).await?,
        };
        Ok(match &index.groups {
            Some(_) => Groups::Known(index),
            None => Groups::Stored(registry, cache),
        })
    }

    /// What is in memory, if it is of this moment or a later one.
    fn as_of(&self, group_generation: u64) -> Option<Arc<Index>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index
            .as_ref()
            .filter(|index| index.group_generation >= group_generation)
            .cloned()
    }

    async fn read(
        &self,
        wanted: u64,
        registry: &Provisioning,
        cache: &GroupCache,
    ) -> Result<Arc<Index>, NotProven> {
        let _alone = self.reading.lock().await;
        // Whoever waited takes what was read meanwhile, although more may have been written since it came.
        if let Some(index) = self.as_of(wanted) {
            return Ok(index);
        }
        // Before the groups are read: what is written while they are makes the result count as old.
        let group_generation = registry.group_generation();
        let records = registry.groups_with_certificates(MOST).await?;
        let entries = records.map(|all| all.iter().map(|record| cache.entry(record)).collect());
        let index = Arc::new(Index {
            group_generation,
            // One that cannot be read is the business of the devices that come through it.
            groups: entries.and_then(Result::ok).map(ByCertificate::new),
        });
        let mut known = self.index.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(index.clone());
        Ok(index)
    }
}

impl Groups<'_> {
    /// The groups whose certificate is one of these, in their order.
    pub async fn by_certificate(&self, shown: &[Thumbprint]) -> Result<Vec<Arc<Entry>>, NotProven> {
        match self {
            Self::Known(index) => Ok(index.find(shown, |groups, one| {
                groups.thumbprints.get(one).map(std::slice::from_ref)
            })),
            Self::Stored(registry, cache) => {
                let records = registry.groups_by_certificate(shown).await?;
                Ok(cache.entries(&records)?)
            }
        }
    }

    /// The groups with a certificate whose subject is named as issuer by one of these.
    pub async fn by_issuers_of(&self, ends: &[&Certificate]) -> Result<Vec<Arc<Entry>>, NotProven> {
        match self {
            Self::Known(index) => Ok(index.find(ends, |groups, end| {
                groups.subjects.get(end.issuer_key()).map(Vec::as_slice)
            })),
            Self::Stored(registry, cache) => {
                // What an earlier version wrote is found by its DER.
                let names = ends
                    .iter()
                    .flat_map(|end| [end.issuer_key(), end.issuer_der()]);
                let names: Vec<&[u8]> = names.collect();
                let records = registry.groups_by_subject(&names).await?;
                Ok(cache.entries(&records)?)
            }
        }
    }
}

impl Index {
    /// The groups of each key, each group once.
    fn find<K>(
        &self,
        keys: &[K],
        get: impl for<'g> Fn(&'g ByCertificate, &K) -> Option<&'g [Arc<Entry>]>,
    ) -> Vec<Arc<Entry>> {
        let mut found: Vec<Arc<Entry>> = Vec::new();
        let groups = self.groups.iter();
        for group in groups.flat_map(|groups| keys.iter().filter_map(|key| get(groups, key))) {
            for entry in group {
                if found.iter().all(|known| known.key() != entry.key()) {
                    found.push(entry.clone());
                }
            }
        }
        found
    }
}

impl ByCertificate {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
        let mut groups = Self::default();
        for entry in &entries {
            let Attestation::Anchors(anchors) = entry.attestation() else {
                continue;
            };
            for anchor in anchors {
                groups.add(entry, anchor);
            }
        }
        groups
    }

    fn add(&mut self, entry: &Arc<Entry>, anchor: &Anchor) {
        let certificate: &Certificate = anchor.certificate();
        // A certificate speaks for one group, except that one that was withdrawn may have been uploaded anew for another.
        if anchor.is_withdrawn() {
            let group = self.thumbprints.entry(certificate.sha256());
            group.or_insert_with(|| entry.clone());
        } else {
            self.thumbprints.insert(certificate.sha256(), entry.clone());
        }
        let subject = certificate.subject_key().to_vec();
        self.subjects
            .entry(subject)
            .or_default()
            .push(entry.clone());
    }
}
