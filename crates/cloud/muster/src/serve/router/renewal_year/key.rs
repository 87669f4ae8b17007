use std::sync::Arc;

use ::device::renewal::Credential;
use pki::{Certificate, PresentedChain};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// A key pair: its number, and the certificate request that is sent for it each time.
#[derive(Clone)]
pub struct Key {
    pub number: u32,
    pub csr: Arc<Vec<u8>>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Key {
    pub fn generate(number: u32, id: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, id);
        let request = params.serialize_request(&pair).unwrap();
        Self {
            number,
            csr: Arc::new(request.der().to_vec()),
        }
    }

    pub fn credential(self, issued: Certificate) -> Credential<Self, PresentedChain> {
        Credential {
            key: self,
            not_before: issued.not_before(),
            not_after: issued.not_after(),
            certificate: PresentedChain::from_certificates(vec![issued]).unwrap(),
        }
    }
}
