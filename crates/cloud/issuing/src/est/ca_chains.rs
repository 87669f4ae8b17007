use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ids::Thumbprint;
use pki::{Certificate, PemError};
use provisioning::IssuerGeneration;

/// CA certificates that are kept in memory; a data directory has fewer.
const KEPT: usize = 256;

/// The CA certificates of issuers, parsed once.
#[derive(Debug, Default)]
pub(super) struct CaChains(Mutex<HashMap<Thumbprint, Arc<[Certificate]>>>);

impl CaChains {
    /// A CA certificate and those above it.
    pub(super) fn of(&self, generation: &IssuerGeneration) -> Result<Arc<[Certificate]>, PemError> {
        let key = generation.thumbprint;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = known.get(&key) {
            return Ok(chain.clone());
        }
        let chain: Arc<[Certificate]> = Certificate::parse_pem_bundle(&generation.chain)?.into();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, chain.clone());
        Ok(chain)
    }
}
