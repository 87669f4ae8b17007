//! Provisioning services: read from the store, and kept in memory as of the last commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use registry::{FormerHost, StorageError, read_former_hosts, read_key, read_policies};
use store::{HubRow, LinkRow, PolicyOwner, RemoteAccessRow, ServiceRow, StoreError, Tx, View};

use crate::key::SecretBytes;
use crate::service::{HubAccess, LinkedHub, ProvisioningService, RemoteAccess};

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

/// All services, the first one first: operators who may configure that one may
/// add others, and hubs.
pub type Services = Vec<Arc<ProvisioningService>>;

/// The services as of the last commit.
pub(crate) struct ServicesNow {
    services: RwLock<Arc<Services>>,
    cells: RwLock<Vec<Arc<ServiceCell>>>,
    /// The latest transaction in which services changed: later units of the same one
    /// read what it wrote.
    changing: AtomicU64,
}

impl ServicesNow {
    pub(crate) fn new(services: Services) -> Self {
        let cells = services.iter().map(ServiceCell::new).collect();
        Self {
            services: RwLock::new(Arc::new(services)),
            cells: RwLock::new(cells),
            changing: AtomicU64::default(),
        }
    }

    pub(crate) fn get(&self) -> Arc<Services> {
        self.services
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

    /// Takes over what `tx` sees once it is durable, before anybody is answered.
    pub(crate) fn follow(self: &Arc<Self>, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.changing.store(tx.batch(), Ordering::Relaxed);
        let (fresh, now) = (read(tx)?, self.clone());
        tx.after_commit(move || now.replace(fresh));
        Ok(())
    }

    /// A service as `view` sees it: as of the last commit, unless a unit before this one changed
    /// services in the same transaction.
    pub(crate) fn service_in(
        &self,
        view: &View<'_>,
        cell: &ServiceCell,
    ) -> Result<Arc<ProvisioningService>, StorageError> {
        let service = cell.get();
        if self.changing.load(Ordering::Relaxed) != view.batch() {
            return Ok(service);
        }
        let mut fresh = read(view)?.into_iter();
        let fresh = fresh.find(|other| other.id_scope == service.id_scope);
        Ok(fresh.unwrap_or(service))
    }

    /// Services are never removed, so that their cells keep their places.
    fn replace(&self, fresh: Services) {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        for (index, service) in fresh.iter().enumerate() {
            match cells.get(index) {
                Some(cell) => cell.set(service),
                None => cells.push(ServiceCell::new(service)),
            }
        }
        drop(cells);
        *self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
    }
}

pub(crate) fn read(view: &View<'_>) -> Result<Services, StorageError> {
    let services = view.services()?.into_iter();
    services
        .map(|row| read_service(view, row).map(Arc::new))
        .collect()
}

fn read_service(view: &View<'_>, row: ServiceRow) -> Result<ProvisioningService, StorageError> {
    let links = view.linked_hubs(row.id_scope.as_str())?.into_iter();
    let owner = PolicyOwner::Service {
        id_scope: row.id_scope.as_str(),
    };
    let former = read_former_hosts(view)?;
    let key = read_key(view, &row.operation_key)?;
    let allocation_policy = serde_json::from_value(row.allocation_policy.into())
        .map_err(|error| view.damaged("allocation policy", error))?;
    Ok(ProvisioningService {
        hubs: links
            .map(|link| read_link(view, link, &former))
            .collect::<Result<_, _>>()?,
        policies: read_policies(view, owner)?,
        id_scope: row.id_scope,
        name: row.name,
        host: row.host,
        allocation_policy,
        operation_key: SecretBytes::from_base64(key.reveal()),
    })
}

fn read_link(
    view: &View<'_>,
    link: LinkRow,
    former: &[FormerHost],
) -> Result<LinkedHub, StorageError> {
    let HubRow { name, host, remote } = link.hub;
    let former = former
        .iter()
        .filter(|former| former.hub.as_ref() == Some(&name));
    let access = match remote {
        None => HubAccess::Local,
        Some(RemoteAccessRow { policy, key }) => HubAccess::Remote(RemoteAccess {
            policy,
            key: read_key(view, &key)?,
        }),
    };
    let latencies = link.latencies.as_deref().map(serde_json::from_str);
    let latencies = latencies
        .transpose()
        .map_err(|error| view.damaged("latencies", error))?;
    Ok(LinkedHub {
        latencies: latencies.unwrap_or_default(),
        former_hosts: former.map(|former| former.host.clone()).collect(),
        name,
        host,
        allocation_weight: link.allocation_weight,
        apply_allocation_policy: link.apply_allocation_policy,
        access,
    })
}
