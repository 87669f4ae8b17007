//! Certificates that expired long ago leave the list. The log of certificates keeps their hashes, and
//! the audit that they were issued.

use std::time::Duration;

use ids::Timestamp;
use registry::StorageError;
use store::{Lock, unit};

use crate::provisioning::Provisioning;

/// Revocation lists name a certificate until 14 days after its end: it must not go before.
const AT_LEAST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Provisioning {
    /// Deletes certificates of all services that expired longer ago than they are kept; says how
    /// many.
    pub async fn prune_issued(&self, now: Timestamp) -> Result<usize, StorageError> {
        let Some(kept) = self.inner.expired_certificates else {
            return Ok(0);
        };
        let before = now.minus(kept.max(AT_LEAST)).ticks();
        let mut pruned = 0;
        let mut after = (String::new(), String::new());
        loop {
            let from = after.clone();
            let next = self
                .registry
                .store()
                .scan(move |view| {
                    Ok::<_, StorageError>(view.next_issuer_of_certificates(&from.0, &from.1)?)
                })
                .await?;
            let Some(issuer) = next else {
                return Ok(pruned);
            };
            pruned += self.prune_issuer(&issuer, before).await?;
            after = issuer;
        }
    }

    async fn prune_issuer(
        &self,
        issuer: &(String, String),
        before: i64,
    ) -> Result<usize, StorageError> {
        let mut pruned = 0;
        loop {
            let prune = unit(
                issuer.clone(),
                |_| vec![Lock::Directory],
                |_, _| Ok::<_, StorageError>(()),
                move |(id_scope, issuer), tx, ()| tx.prune_issued(id_scope, issuer, before),
            );
            let some = self.registry.store().write_in_background(prune);
            match some.await? {
                0 => return Ok(pruned),
                some => pruned += some,
            }
        }
    }
}
