use std::sync::{Arc, Mutex};

use hub::{CertificateIssuer, CertificateRefused, CertificateRequest, Issuing};
use tokio::sync::Semaphore;

/// Issues to connected devices when a test says so: the certificate is the request that came.
pub struct Issuer {
    turns: Arc<Semaphore>,
    asked: Mutex<Vec<CertificateRequest>>,
    refusal: Mutex<Option<CertificateRefused>>,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(0)),
            asked: Mutex::default(),
            refusal: Mutex::default(),
        }
    }
}

impl Issuer {
    /// Lets one request through.
    pub fn issue_one(&self) {
        self.turns.add_permits(1);
    }

    /// The next request is refused.
    pub fn refuse(&self, refusal: CertificateRefused) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    pub fn asked(&self) -> Vec<CertificateRequest> {
        self.asked.lock().unwrap().clone()
    }
}

impl CertificateIssuer for Issuer {
    fn issue(&self, request: CertificateRequest) -> Issuing {
        self.asked.lock().unwrap().push(request.clone());
        let (turns, refusal) = (self.turns.clone(), self.refusal.lock().unwrap().take());
        Box::pin(async move {
            turns.acquire().await.unwrap().forget();
            match refusal {
                Some(refusal) => Err(refusal),
                None => Ok(vec![request.csr, b"issuer".to_vec()]),
            }
        })
    }
}
