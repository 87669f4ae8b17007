//! The certificate of the endorsement key, which the vendor of a TPM writes into it.

use pki::Certificate;

use crate::primary::public_of;
use crate::{Public, Tpm, TpmError};

/// Indices of the EK Credential Profile, 2.2.1.4: RSA-2048, then P-256.
const RSA: u32 = 0x01c0_0002;
const P256: u32 = 0x01c0_000a;
const INDICES: [u32; 2] = [RSA, P256];

/// The certificate of an endorsement key.
#[derive(Debug, Clone)]
pub struct EndorsementCertificate {
    pub index: u32,
    pub certificate: Certificate,
    /// Whether it is for the endorsement key that the TPM has now.
    pub is_of_this_tpm: bool,
}

impl Tpm {
    /// The certificates of endorsement keys in the TPM. Vendors put one or two there; a software
    /// TPM usually has none. What is not readable, or not a
    /// certificate, is left out.
    pub fn endorsement_certificates(&self) -> Result<Vec<EndorsementCertificate>, TpmError> {
        let mut connection = self.connect()?;
        let endorsement = self.endorsement(&mut connection)?;
        let area = connection.read_public(endorsement)?;
        let public = Public::parse(&area).map_err(|source| TpmError::Public {
            handle: endorsement,
            source,
        })?;
        let mut found = Vec::new();
        for index in INDICES {
            if !connection.exists(index)? {
                continue;
            }
            // An index without content, or with an authorization value.
            let content = match connection.nv_read(index) {
                Err(error @ TpmError::Refused { .. }) => {
                    let index = format_args!("{index:#x}");
                    tracing::warn!(%index, %error, "the certificate cannot be read");
                    continue;
                }
                read => read?,
            };
            let Ok(certificate) = Certificate::from_der(without_filler(&content)) else {
                tracing::warn!(index = %format_args!("{index:#x}"), "not a certificate");
                continue;
            };
            found.push(EndorsementCertificate {
                index,
                is_of_this_tpm: public.key().matches(&certificate).is_ok(),
                certificate,
            });
        }
        Ok(found)
    }

    /// The `TPM2B_PUBLIC` of the endorsement key.
    pub fn endorsement_key(&self) -> Result<Vec<u8>, TpmError> {
        let mut connection = self.connect()?;
        let endorsement = self.endorsement(&mut connection)?;
        public_of(&mut connection, endorsement)
    }
}

/// An index may be longer than its certificate; the length of DER says where that ends.
fn without_filler(content: &[u8]) -> &[u8] {
    let length = match content {
        [0x30, 0x82, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, 0x81, length, ..] => 3 + usize::from(*length),
        _ => content.len(),
    };
    content.get(..length).unwrap_or(content)
}
