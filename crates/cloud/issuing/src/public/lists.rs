use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use super::signature_budget::SignatureBudget;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// nextUpdate of a list, after its thisUpdate.
const VALIDITY: Duration = HOUR.saturating_mul(24 * 7);
/// A list is made again after this time although nothing changed.
const RENEWAL: Duration = HOUR.saturating_mul(24);
/// What is revoked is read again after this time although nothing was revoked: certificates leave
/// lists after they expired.
const TABLE_AGE: Duration = HOUR;
/// New certificates of a CA name a part of its list when the list has more entries: then it has
/// about half a megabyte.
const DIVIDED_ABOVE: usize = 10_000;

/// Lists, and parts of lists, that clients may have signed: so many a second, and twice as many at
/// once. The whole list of each CA is signed before anybody asks for it, apart from that.
const SIGNED_FOR_CLIENTS: u32 = 20;

/// Who wants a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanting {
    /// The server, so that no client waits.
    Server,
    Client,
}

/// A list as it is answered.
#[derive(Debug)]
pub(super) struct CrlFile {
    pub(super) der: Bytes,
    pub(super) number: u64,
    pub(super) this_update: Timestamp,
}

/// What a CA has revoked, as it was read.
struct ReadTable {
    /// The generation of revocations at that moment.
    generation: u64,
    when: Timestamp,
    revoked: Arc<RevokedTable>,
}

/// What is known of a CA's revocations, and the lists that say it.
#[derive(Default)]
struct OfCa {
    table: Option<ReadTable>,
    /// By part; `None`: the whole list.
    files: HashMap<Option<u8>, Arc<CrlFile>>,
    /// Held while a list of the CA is made: its key signs one at a time, however many clients ask
    /// for parts, and clients of the same part get what the first of them had made.
    making: Arc<tokio::sync::Mutex<()>>,
}

impl OfCa {
    /// A list that is as it would be made now.
    fn file(&self, shard: Option<u8>, generation: u64, now: Timestamp) -> Option<Arc<CrlFile>> {
        let table = self.table.as_ref()?;
        let file = self.files.get(&shard)?;
        (table.generation == generation && file.is_young(now)).then(|| file.clone())
    }

    /// What was read, unless it may have changed since.
    fn revoked(&self, generation: u64, now: Timestamp) -> Option<Arc<RevokedTable>> {
        let table = self.table.as_ref()?;
        let is_current = table.generation == generation && now < table.when.plus(TABLE_AGE);
        is_current.then(|| table.revoked.clone())
    }

    /// Keeps what was read. Lists that it changes are dropped; one that says the same stays.
    fn note(&mut self, table: ReadTable) {
        let before = self.table.as_ref();
        self.files.retain(|part, _| {
            before.is_some_and(|before| before.revoked.says_the_same(&table.revoked, *part))
        });
        self.table = Some(table);
    }
}

/// The revocation lists of all CAs, in memory. Each is signed once when something in it changed,
/// and once a day.
pub(super) struct Lists {
    kept: Mutex<HashMap<CaId, OfCa>>,
    /// The number of the last list of any CA.
    number: AtomicU64,
    for_clients: SignatureBudget,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            number: AtomicU64::default(),
            for_clients: SignatureBudget::new(SIGNED_FOR_CLIENTS),
        }
    }
}

impl Lists {
    /// The list of a CA, or the part of it, as of the last revocation.
    pub(super) async fn current(
        &self,
        keys: &Arc<DeviceIssuers>,
        service: &Provisioning,
        (ca, shard): (&PublishedCa, Option<u8>),
        wanting: Wanting,
        now: Timestamp,
    ) -> Result<Arc<CrlFile>, PublicError> {
        let making = {
            let mut kept = self.kept();
            let of_ca = kept.entry(ca.key()).or_default();
            if let Some(file) = of_ca.file(shard, service.revocations_generation(), now) {
                return Ok(file);
            }
            of_ca.making.clone()
        };
        let _alone = making.lock().await;
        let generation = service.revocations_generation();
        let known = {
            let mut kept = self.kept();
            let of_ca = kept.entry(ca.key()).or_default();
            if let Some(file) = of_ca.file(shard, generation, now) {
                return Ok(file);
            }
            of_ca.revoked(generation, now)
        };
        if wanting == Wanting::Client && !self.for_clients.spend(now) {
            return Err(PublicError::Busy);
        }
        let revoked = match known {
            Some(revoked) => revoked,
            None => {
                let revoked = Arc::new(RevokedTable::read(service, ca, now).await?);
                let mut kept = self.kept();
                let of_ca = kept.entry(ca.key()).or_default();
                of_ca.note(ReadTable {
                    generation,
                    when: now,
                    revoked: revoked.clone(),
                });
                if let Some(file) = of_ca.file(shard, generation, now) {
                    return Ok(file);
                }
                revoked
            }
        };
        let file = self.sign(keys, ca, &revoked, shard, now).await?;
        let mut kept = self.kept();
        let of_ca = kept.entry(ca.key()).or_default();
        of_ca.files.insert(shard, file.clone());
        Ok(file)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<CaId, OfCa>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the lists of CAs that are not among `published`.
    pub(super) fn keep(&self, published: &HashSet<CaId>) {
        self.kept().retain(|ca, _| published.contains(ca));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-06-01T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

    #[test]
    fn what_is_revoked_is_read_once_for_all_parts_of_a_generation() {
        let mut of_ca = OfCa::default();
        // Nothing was read: that is not the same as a CA that has revoked nothing.
        assert!(of_ca.revoked(0, NOW).is_none());
        let revoked = Arc::<RevokedTable>::default();
        of_ca.note(ReadTable {
            generation: 7,
            when: NOW,
            revoked: revoked.clone(),
        });
        let again = of_ca.revoked(7, NOW.plus(TABLE_AGE / 2)).unwrap();
        assert!(Arc::ptr_eq(&again, &revoked));
        assert!(of_ca.revoked(8, NOW).is_none());
        assert!(of_ca.revoked(7, NOW.plus(TABLE_AGE)).is_none());
    }

    #[test]
    fn a_list_that_says_the_same_stays_when_the_table_is_read_again() {
        let mut of_ca = OfCa::default();
        let table = |generation| ReadTable {
            generation,
            when: NOW,
            revoked: Arc::default(),
        };
        let file = Arc::new(CrlFile {
            der: Bytes::new(),
            number: 1,
            this_update: NOW,
        });
        // Made of a table that is not known.
        of_ca.files.insert(Some(3), file.clone());
        assert!(of_ca.file(Some(3), 0, NOW).is_none());
        of_ca.note(table(1));
        assert!(of_ca.files.is_empty());

        of_ca.files.insert(Some(3), file);
        assert!(of_ca.file(Some(3), 2, NOW).is_none());
        of_ca.note(table(2));
        assert!(of_ca.file(Some(3), 2, NOW).is_some());
        assert!(of_ca.file(None, 2, NOW).is_none());
        assert!(of_ca.file(Some(3), 2, NOW.plus(RENEWAL)).is_none());
    }
}
