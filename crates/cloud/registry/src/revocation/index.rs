use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ids::{CertificateName, CertificateSerial, IdScope, IssuerName, Thumbprint, Timestamp};
use pki::{Certificate, RevocationReason};

use super::key::{CaKey, CertificateKey, Digest};
use super::list::Entry;
use super::{ListSettings, NotInForce, RevocationList, RevokedBy};

/// What is revoked or on hold, of all services. While there is nothing, asking costs one read of a
/// flag; else one look by the issuer's name, and more only for CAs that have something.
///
/// Writers hold the lock to change one entry or exchange one list.
#[derive(Debug, Default)]
pub struct Revocations {
    is_in_use: AtomicBool,
    /// By the digest of the issuer's name.
    lists: RwLock<HashMap<Digest, Vec<List>>>,
}

#[derive(Debug)]
struct List {
    ca: CaKey,
    entries: Entries,
}

#[derive(Debug)]
enum Entries {
    /// Of an issuer of this server.
    Issuer {
        id_scope: IdScope,
        issuer: IssuerName,
        /// SHA-256 of the CA certificate.
        authority: Thumbprint,
        revoked: HashMap<CertificateSerial, Entry>,
    },
    Foreign(Arc<RevocationList>),
}

impl Entries {
    fn id_scope(&self) -> &IdScope {
        match self {
            Self::Issuer { id_scope, .. } => id_scope,
            Self::Foreign(list) => &list.settings.id_scope,
        }
    }

    fn find(&self, serial: Option<&CertificateSerial>, now: Timestamp) -> Option<NotInForce> {
        match self {
            Self::Issuer {
                issuer, revoked, ..
            } => {
                let serial = serial?;
                let entry = revoked.get(serial)?;
                Some(entry.not_in_force(*serial, RevokedBy::Issuer(issuer.clone())))
            }
            Self::Foreign(list) => list.find(serial, now),
        }
    }
}

/// A certificate of an issuer of this server.
#[derive(Debug, Clone)]
pub struct OwnCertificate {
    pub id_scope: IdScope,
    pub issuer: IssuerName,
    /// The CA certificate that signed it.
    pub ca: Certificate,
    pub serial: CertificateSerial,
}

impl Revocations {
    /// Whether any certificate can be refused. If not, keys need not be computed.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Acquire)
    }

    /// Why a certificate is not in force, if a service says so for which `counts` is true.
    pub fn find(
        &self,
        certificate: &CertificateKey,
        now: Timestamp,
        counts: impl Fn(&IdScope) -> bool,
    ) -> Option<NotInForce> {
        if !self.is_in_use() {
            return None;
        }
        let all = self.read();
        let of_issuer = all.get(&certificate.issuer)?.iter();
        let may_be = of_issuer.filter(|list| list.ca.may_have_issued(certificate));
        let mut found = may_be.filter_map(|list| {
            let reason = list.entries.find(certificate.serial.as_ref(), now)?;
            counts(list.entries.id_scope()).then_some(reason)
        });
        // That it is revoked says more than that a list is too old.
        let first = found.next()?;
        match first {
            NotInForce::Revoked(_) => Some(first),
            NotInForce::Stale(_) => {
                let more = found.find(|one| matches!(one, NotInForce::Revoked(_)));
                Some(more.unwrap_or(first))
            }
        }
    }

    /// A certificate of an issuer is revoked or put on hold.
    pub fn revoke(&self, certificate: OwnCertificate, since: Timestamp, reason: RevocationReason) {
        let ca = CaKey::of(&certificate.ca);
        let authority = certificate.ca.sha256();
        let mut all = self.write();
        let lists = all.entry(ca.name).or_default();
        let entry = Entry::new(since, reason);
        let serial = certificate.serial;
        if let Some(revoked) = own(lists, &certificate.id_scope, authority) {
            revoked.insert(serial, entry);
        } else {
            lists.push(List {
                ca,
                entries: Entries::Issuer {
                    id_scope: certificate.id_scope,
                    issuer: certificate.issuer,
                    authority,
                    revoked: HashMap::from([(serial, entry)]),
                },
            });
        }
        self.note_use(&all);
    }

    /// A certificate of an issuer is no longer on hold.
    pub fn restore(&self, certificate: &OwnCertificate) {
        let name = CaKey::of(&certificate.ca).name;
        let mut all = self.write();
        if let Some(lists) = all.get_mut(&name) {
            let authority = certificate.ca.sha256();
            if let Some(revoked) = own(lists, &certificate.id_scope, authority) {
                revoked.remove(&certificate.serial);
            }
            lists.retain(|list| match &list.entries {
                Entries::Issuer { revoked, .. } => !revoked.is_empty(),
                Entries::Foreign(_) => true,
            });
        }
        all.retain(|_, lists| !lists.is_empty());
        self.note_use(&all);
    }

    /// A list is there, or another one in its place.
    pub fn put_list(&self, list: Arc<RevocationList>) {
        let settings = list.settings.clone();
        self.exchange(&settings, |_| list);
    }

    /// A list has other settings, or is followed and was not read yet.
    pub fn put_settings(&self, settings: ListSettings) {
        self.exchange(&settings.clone(), |before| {
            Arc::new(RevocationList::under(settings, before))
        });
    }

    fn exchange(
        &self,
        settings: &ListSettings,
        list: impl FnOnce(Option<&RevocationList>) -> Arc<RevocationList>,
    ) {
        let ca = CaKey::of(&settings.ca);
        let mut all = self.write();
        let replaced = take_list(&mut all, &settings.id_scope, &settings.name);
        let entries = Entries::Foreign(list(replaced.as_deref()));
        let lists = all.entry(ca.name).or_default();
        lists.push(List { ca, entries });
        self.note_use(&all);
        drop(all);
        // A long list is freed when nobody waits.
        drop(replaced);
    }

    /// A list is there no longer.
    pub fn remove_list(&self, id_scope: &IdScope, name: &CertificateName) {
        let mut all = self.write();
        let removed = take_list(&mut all, id_scope, name);
        self.note_use(&all);
        drop(all);
        drop(removed);
    }

    fn note_use(&self, all: &HashMap<Digest, Vec<List>>) {
        self.is_in_use.store(!all.is_empty(), Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Digest, Vec<List>>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Digest, Vec<List>>> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a CA of an issuer has revoked.
fn own<'l>(
    lists: &'l mut [List],
    wanted_scope: &IdScope,
    wanted: Thumbprint,
) -> Option<&'l mut HashMap<CertificateSerial, Entry>> {
    lists.iter_mut().find_map(|list| match &mut list.entries {
        Entries::Issuer {
            id_scope,
            authority,
            revoked,
            ..
        } if id_scope == wanted_scope && *authority == wanted => Some(revoked),
        _ => None,
    })
}

fn take_list(
    all: &mut HashMap<Digest, Vec<List>>,
    id_scope: &IdScope,
    name: &CertificateName,
) -> Option<Arc<RevocationList>> {
    let mut taken = None;
    for lists in all.values_mut() {
        lists.retain(|list| match &list.entries {
            Entries::Foreign(list) if list.is(id_scope, name) => {
                taken = Some(list.clone());
                false
            }
            _ => true,
        });
    }
    all.retain(|_, lists| !lists.is_empty());
    taken
}
