//! The fetches that are in progress: one of each service at a time, so that the silent servers that
//! one tenant names delay its own lists alone.

use std::collections::HashMap;
use std::sync::Arc;

use ids::{CertificateName, IdScope, error_chain};
use registry::StorageError;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::revocation_lists::fetch::{fetch, is_due};
use crate::service::Dps;
use crate::service::tenants::Tenant;

/// Lists that are fetched at once, of all services: each may be in memory whole. Services take
/// turns after each list.
const AT_ONCE: usize = 8;

/// Dropped, it ends all of them.
pub(super) struct Fetches {
    running: JoinSet<()>,
    by_service: HashMap<IdScope, AbortHandle>,
    turns: Arc<Semaphore>,
}

impl Default for Fetches {
    fn default() -> Self {
        Self {
            running: JoinSet::new(),
            by_service: HashMap::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Fetches {
    /// Starts to fetch what is due of each service that fetches nothing now.
    pub(super) fn start_due(&mut self, dps: &Dps) {
        while let Some(ended) = self.running.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(
                    error = error_chain(&error),
                    "a fetch of revocation lists failed"
                );
            }
        }
        self.by_service
            .retain(|_, fetching| !fetching.is_finished());
        let services = dps.tenants().provisioning().services();
        for service in services.iter() {
            let id_scope = &service.id_scope;
            if self.by_service.contains_key(id_scope) {
                continue;
            }
            let Some(tenant) = dps.tenants().by_scope(id_scope.as_str()) else {
                continue;
            };
            match due(dps, &tenant) {
                Ok(names) if names.is_empty() => {}
                Ok(names) => {
                    let fetching = fetch_all(dps.clone(), tenant, names, self.turns.clone());
                    let fetching = self.running.spawn(fetching);
                    self.by_service.insert(id_scope.clone(), fetching);
                }
                Err(error) => not_fetched(id_scope, &error),
            }
        }
    }
}

fn due(dps: &Dps, tenant: &Tenant) -> Result<Vec<CertificateName>, StorageError> {
    let lists = tenant.context.provisioning.revocation_lists()?.into_iter();
    let due = lists.filter(|list| is_due(list, dps.now()));
    Ok(due.map(|list| list.name).collect())
}

async fn fetch_all(
    dps: Dps,
    tenant: Arc<Tenant>,
    names: Vec<CertificateName>,
    turns: Arc<Semaphore>,
) {
    let provisioning = &tenant.context.provisioning;
    for name in names {
        // It is never closed.
        let _turn = turns.acquire().await;
        let fetched = async {
            // Those before it may have taken long.
            match provisioning.revocation_list(&name)? {
                Some(list) if is_due(&list, dps.now()) => fetch(&dps, provisioning, &list).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = fetched.await {
            not_fetched(&provisioning.service().id_scope, &error);
            return;
        }
    }
}

fn not_fetched(id_scope: &IdScope, error: &StorageError) {
    tracing::error!(
        %id_scope,
        error = error_chain(error),
        "revocation lists were not fetched"
    );
}
