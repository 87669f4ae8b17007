use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ca::DeviceIssuers;
use ids::Timestamp;
use pki::CrlFields;
use provisioning::Provisioning;
use wire::public_pki::{PublicItem, PublicPath};

use super::PublicError;
use super::generation::{CaId, PublishedCa};
use super::revoked::RevokedTable;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// nextUpdate of a list, after its thisUpdate.
const VALIDITY: Duration = HOUR.saturating_mul(24 * 7);
/// A list is made again after this time although nothing changed.
const RENEWAL: Duration = HOUR.saturating_mul(24);
/// New certificates of a CA name a part of its list when the list has more entries: then it has
/// about half a megabyte.
const DIVIDED_ABOVE: usize = 10_000;

/// A list as it is answered.
#[derive(Debug)]
pub(super) struct CrlFile {
    pub(super) der: Bytes,
    pub(super) number: u64,
    pub(super) this_update: Timestamp,
}

/// What is known of a CA's revocations, and the lists that say it.
#[derive(Default)]
struct OfCa {
    /// The generation of revocations that `revoked` is of.
    generation: u64,
    revoked: Arc<RevokedTable>,
    /// By part; `None`: the whole list.
    files: HashMap<Option<u8>, Arc<CrlFile>>,
}

/// The revocation lists of all CAs, in memory. Each is signed once when something in it changed,
/// and once a day.
#[derive(Default)]
pub(super) struct Lists {
    kept: Mutex<HashMap<CaId, OfCa>>,
    /// Held while a list is made: clients that wait get what the first of them had made.
    making: tokio::sync::Mutex<()>,
    /// The number of the last list of any CA.
    number: AtomicU64,
}

impl Lists {
    /// The list of a CA, or the part of it, as of the last revocation.
    pub(super) async fn current(
        &self,
        keys: &Arc<DeviceIssuers>,
        service: &Provisioning,
        ca: &PublishedCa,
        shard: Option<u8>,
        now: Timestamp,
    ) -> Result<Arc<CrlFile>, PublicError> {
        if let Some(file) = self.kept(service, ca, shard, now) {
            return Ok(file);
        }
        let _alone = self.making.lock().await;
        if let Some(file) = self.kept(service, ca, shard, now) {
            return Ok(file);
        }
        let generation = service.revocations_generation();
        let revoked = Arc::new(RevokedTable::read(service, ca, now).await?);
        if let Some(file) = self.note(ca, generation, &revoked, shard, now) {
            return Ok(file);
        }
        let file = self.sign(keys, ca, &revoked, shard, now).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ca = kept.entry(ca.key()).or_default();
        of_ca.files.insert(shard, file.clone());
        Ok(file)
    }

    /// Forgets the lists of CAs that are not among `published`.
    pub(super) fn keep(&self, published: &HashSet<CaId>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|ca, _| published.contains(ca));
    }

    /// A list that is as it would be made now.
    fn kept(
        &self,
        service: &Provisioning,
        ca: &PublishedCa,
        shard: Option<u8>,
        now: Timestamp,
    ) -> Option<Arc<CrlFile>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ca = kept.get(&ca.key())?;
        if of_ca.generation != service.revocations_generation() {
            return None;
        }
        of_ca
            .files
            .get(&shard)
            .filter(|file| file.is_young(now))
            .cloned()
    }

    /// Keeps what is revoked by now. Lists that it changes are dropped; one that says the same
    /// stays.
    fn note(
        &self,
        ca: &PublishedCa,
        generation: u64,
        revoked: &Arc<RevokedTable>,
        shard: Option<u8>,
        now: Timestamp,
    ) -> Option<Arc<CrlFile>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ca = kept.entry(ca.key()).or_default();
        let before = &of_ca.revoked;
        let same = |part: Option<u8>| before.says_the_same(revoked, part);
        of_ca.files.retain(|part, _| same(*part));
        of_ca.revoked = revoked.clone();
        of_ca.generation = generation;
        of_ca
            .files
            .get(&shard)
            .filter(|file| file.is_young(now))
            .cloned()
    }

    async fn sign(
        &self,
        keys: &Arc<DeviceIssuers>,
        ca: &PublishedCa,
        revoked: &Arc<RevokedTable>,
        shard: Option<u8>,
        now: Timestamp,
    ) -> Result<Arc<CrlFile>, PublicError> {
        if revoked.len() > DIVIDED_ABOVE {
            keys.divide_list(ca.signer());
        }
        let number = self.next_number(now);
        let address = keys.address().unwrap_or_default();
        let path = PublicPath {
            issuer: ca.issuer.clone(),
            generation: Some(ca.generation.clone()),
            item: PublicItem::Crl { shard },
        };
        let url = shard.map(|_| format!("{address}{path}"));
        let (keys, signer, revoked) = (keys.clone(), ca.signer(), revoked.clone());
        let der = tokio::task::spawn_blocking(move || {
            let fields = CrlFields {
                number,
                this_update: now,
                next_update: now.plus(VALIDITY),
                distribution_point: url.as_deref(),
            };
            keys.sign_crl(&signer, &fields, revoked.entries(shard))
        });
        Ok(Arc::new(CrlFile {
            der: der.await??.into(),
            number,
            this_update: now,
        }))
    }

    /// Milliseconds since 1970, and always more than before: lists that are made after the next
    /// start have greater numbers without being written down.
    fn next_number(&self, now: Timestamp) -> u64 {
        let time = u64::try_from(now.unix_millis()).unwrap_or_default();
        let next = |last: u64| Some(time.max(last + 1));
        let last = self
            .number
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        last.map_or(time, |last| time.max(last + 1))
    }
}

impl CrlFile {
    fn is_young(&self, now: Timestamp) -> bool {
        now < self.this_update.plus(RENEWAL)
    }
}
