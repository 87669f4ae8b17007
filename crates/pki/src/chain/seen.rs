use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use ids::Thumbprint;

use crate::cert::sha256;
use crate::{Certificate, CertificateError};

/// Issuers' certificates that clients showed before, parsed: a fleet shows the same few with every connection.
///
/// Nothing is trusted for being in here. Bounded; when full it starts again from nothing.
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
                parsed.clear();
            }
            parsed.insert(digest, certificate.clone());
        }
        Ok(certificate)
    }
}

impl Default for SeenIssuers {
    /// 1024 of them.
    fn default() -> Self {
        Self::new(1024)
    }
}
