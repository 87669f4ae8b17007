//! Services and hubs: read from the store, and kept in memory as of the last commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ids::{HubHost, HubName, IdScope};
use store::{HubRow, LinkRow, PolicyRow, Secret, ServiceRow, Tx, View};
use wire::service_api::identity::KeyText;

use super::rows::Rows;
use super::watchers::Watchers;
use crate::change::Change;
use crate::error::StorageError;
use crate::key::SecretBytes;
use crate::service::{
    FormerHost, HubReach, LinkedHub, LocalHub, ProvisioningService, RemoteAccess, Right, Served,
    SharedAccessPolicy,
};

/// A service as of the last commit. Every handle of the service looks at the same one.
pub(crate) struct ServiceCell(RwLock<Arc<ProvisioningService>>);

impl ServiceCell {
    fn new(service: &Arc<ProvisioningService>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(service.clone())))
    }

    pub(crate) fn get(&self) -> Arc<ProvisioningService> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, service: &Arc<ProvisioningService>) {
        service.clone_into(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What is served, as of the last commit.
pub(crate) struct ServedNow {
    served: RwLock<Arc<Served>>,
    cells: RwLock<Vec<Arc<ServiceCell>>>,
    /// The latest transaction in which what is served was changed: those who come after it in the same one read what it wrote.
    changing: AtomicU64,
}

impl ServedNow {
    pub(crate) fn new(served: Served) -> Self {
        let cells = served.services.iter().map(ServiceCell::new).collect();
        Self {
            served: RwLock::new(Arc::new(served)),
            cells: RwLock::new(cells),
            changing: AtomicU64::default(),
        }
    }

    pub(crate) fn get(&self) -> Arc<Served> {
        self.served
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The cell of the service that `is_it`.
    pub(crate) fn cell(
        &self,
        is_it: impl Fn(&ProvisioningService) -> bool,
    ) -> Option<Arc<ServiceCell>> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.iter().find(|cell| is_it(&cell.get())).cloned()
    }

    /// Takes over what `tx` sees once it is durable, before anybody is answered; then watchers are told.
    pub(crate) fn follow(
        self: &Arc<Self>,
        tx: &Tx<'_>,
        watchers: &Arc<Watchers>,
    ) -> Result<(), StorageError> {
        self.changing.store(tx.group(), Ordering::Relaxed);
        let (fresh, now) = (read(tx)?, self.clone());
        tx.after_commit(move || now.replace(fresh));
        watchers.tell(tx, Change::Served);
        Ok(())
    }

    /// A service as `tx` sees it: as of the last commit, unless a job before this one changed what is served in the same transaction.
    pub(crate) fn service_in(
        &self,
        tx: &Tx<'_>,
        cell: &ServiceCell,
    ) -> Result<Arc<ProvisioningService>, StorageError> {
        let service = cell.get();
        if self.changing.load(Ordering::Relaxed) != tx.group() {
            return Ok(service);
        }
        let mut fresh = read(tx)?.services.into_iter();
        let fresh = fresh.find(|other| other.id_scope == service.id_scope);
        Ok(fresh.unwrap_or(service))
    }

    /// Services are never removed, so that their cells keep their places.
    fn replace(&self, fresh: Served) {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        for (index, service) in fresh.services.iter().enumerate() {
            match cells.get(index) {
                Some(cell) => cell.set(service),
                None => cells.push(ServiceCell::new(service)),
            }
        }
        drop(cells);
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
    }
}

/// Reads everything that is served. Without services in an empty directory.
pub(crate) fn read(view: &View<'_>) -> Result<Served, StorageError> {
    let rows = Rows { file: view.file() };
    let services = view
        .services()?
        .into_iter()
        .map(|row| read_service(view, row).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let here = view.hubs()?.into_iter().filter(|row| row.remote.is_none());
    let hubs = here
        .map(|row| {
            Ok(Arc::new(LocalHub {
                policies: read_policies(view, "hub", &row.name)?,
                name: rows.id("hub", row.name.try_into())?,
                host: rows.id("hub host", row.host.try_into())?,
            }))
        })
        .collect::<Result<_, StorageError>>()?;
    Ok(Served {
        services,
        hubs,
        former_hosts: read_former_hosts(view)?,
    })
}

fn read_former_hosts(view: &View<'_>) -> Result<Vec<FormerHost>, StorageError> {
    let rows = Rows { file: view.file() };
    let former = view.former_hosts()?.into_iter();
    former
        .map(|row| {
            Ok(FormerHost {
                host: rows.id("former host", row.host.try_into())?,
                hub: rows.id("hub", row.hub.map(HubName::try_from).transpose())?,
            })
        })
        .collect()
}

fn read_service(view: &View<'_>, row: ServiceRow) -> Result<ProvisioningService, StorageError> {
    let rows = Rows { file: view.file() };
    let links = view.linked_hubs(&row.id_scope)?.into_iter();
    let former = read_former_hosts(view)?;
    let key = read_key(rows, &row.operation_key)?;
    let host = row.host.map(HubHost::try_from).transpose();
    let allocation_policy = serde_json::from_value(row.allocation_policy.into())
        .map_err(|error| rows.damaged("allocation policy", error))?;
    Ok(ProvisioningService {
        hubs: links
            .map(|link| read_link(rows, link, &former))
            .collect::<Result<_, _>>()?,
        policies: read_policies(view, "service", &row.id_scope)?,
        id_scope: rows.id("ID scope", IdScope::try_from(row.id_scope))?,
        name: rows.id("service name", row.name.try_into())?,
        host: rows.id("service host", host)?,
        allocation_policy,
        operation_key: SecretBytes::from_base64(key.reveal()),
    })
}

fn read_link(
    rows: Rows<'_>,
    link: LinkRow,
    former: &[FormerHost],
) -> Result<LinkedHub, StorageError> {
    let HubRow { name, host, remote } = link.hub;
    let name: HubName = rows.id("hub", name.try_into())?;
    let former = former
        .iter()
        .filter(|former| former.hub.as_ref() == Some(&name));
    let reach = match remote {
        None => HubReach::Here,
        Some((policy, key)) => HubReach::Remote(RemoteAccess {
            policy,
            key: read_key(rows, &key)?,
        }),
    };
    let latencies = link.latencies.as_deref().map(serde_json::from_str);
    let latencies = latencies
        .transpose()
        .map_err(|error| rows.damaged("latencies", error))?;
    Ok(LinkedHub {
        latencies: latencies.unwrap_or_default(),
        former_hosts: former.map(|former| former.host.clone()).collect(),
        name,
        host: rows.id("hub host", host.try_into())?,
        allocation_weight: link.allocation_weight,
        apply_allocation_policy: link.apply_allocation_policy,
        reach,
    })
}

fn read_key(rows: Rows<'_>, text: &Secret) -> Result<KeyText, StorageError> {
    KeyText::parse(text.reveal()).map_err(|error| rows.damaged("key", error))
}

fn read_policies(
    view: &View<'_>,
    owner_kind: &str,
    owner: &str,
) -> Result<Vec<SharedAccessPolicy>, StorageError> {
    let rows = Rows { file: view.file() };
    let policies = view.policies(owner_kind, owner)?.into_iter();
    policies.map(|row| read_policy(rows, row)).collect()
}

pub(crate) fn read_policy(
    rows: Rows<'_>,
    row: PolicyRow,
) -> Result<SharedAccessPolicy, StorageError> {
    let named = |name: &str| Right::named(name).ok_or_else(|| rows.damaged("right", name));
    let rights = row.rights.split(',').map(named);
    Ok(SharedAccessPolicy {
        primary: read_key(rows, &row.primary_key)?,
        secondary: read_key(rows, &row.secondary_key)?,
        rights: rights.collect::<Result<_, StorageError>>()?,
        name: row.name,
    })
}
