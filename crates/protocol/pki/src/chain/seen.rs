use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use ids::Thumbprint;

use crate::cert::sha256;
use crate::{Certificate, CertificateError};

/// Issuers' certificates that clients showed before, parsed: a fleet shows the same
/// few with every connection.
///
/// Nothing is trusted for being in here. Bounded. When it is full, those leave that no
/// verified path went through: strangers cannot drive out the issuers of a fleet by showing
/// many of their own.
#[derive(Debug)]
pub struct SeenIssuers {
    capacity: usize,
    parsed: RwLock<HashMap<Thumbprint, Certificate>>,
}

impl SeenIssuers {
    /// Room for so many certificates, about 3 KiB each; 0 remembers nothing.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            parsed: RwLock::default(),
        }
    }

    pub(super) fn parse(&self, der: &[u8]) -> Result<Certificate, CertificateError> {
        let digest = sha256(der);
        let parsed = self.parsed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = parsed.get(&digest) {
            return Ok(certificate.clone());
        }
        drop(parsed);
        let certificate = Certificate::from_der(der)?;
        if self.capacity > 0 {
            let mut parsed = self.parsed.write().unwrap_or_else(PoisonError::into_inner);
            if parsed.len() >= self.capacity {
                make_room(&mut parsed, self.capacity);
            }
            parsed.insert(digest, certificate.clone());
        }
        Ok(certificate)
    }

    /// The number of issuers in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parsed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether the cache holds no issuer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this one would not be parsed again.
    #[must_use]
    pub fn knows(&self, certificate: &Certificate) -> bool {
        let parsed = self.parsed.read().unwrap_or_else(PoisonError::into_inner);
        parsed.contains_key(&certificate.sha256())
    }
}

/// With a quarter of the room free afterwards, so that this is not done for each stranger.
fn make_room(parsed: &mut HashMap<Thumbprint, Certificate>, capacity: usize) {
    parsed.retain(|_, certificate| certificate.is_vouched_for());
    let mut over = parsed.len().saturating_sub(capacity - capacity.div_ceil(4));
    parsed.retain(|_, _| {
        let leaves = over > 0;
        over -= usize::from(leaves);
        !leaves
    });
}

impl Default for SeenIssuers {
    /// Room for 1024 issuers.
    fn default() -> Self {
        Self::new(1024)
    }
}
