//! What an issuer signs beside certificates: `SEQUENCE { toBeSigned, algorithm, signature }`.

use rcgen::{PublicKeyData as _, SignatureAlgorithm, SigningKey as _};
use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use crate::der::{Writer, tag};
use crate::{IssueError, Issuer};

impl Issuer {
    /// Appends what `to_be_signed` writes, one element, together with the algorithm and the
    /// signature. The closure gets the algorithm, which CRLs repeat inside.
    pub(crate) fn write_signed(
        &self,
        der: &mut Writer,
        to_be_signed: impl FnOnce(&mut Writer, &AlgorithmIdentifier),
    ) -> Result<(), IssueError> {
        let key = self.key();
        let algorithm = identifier(key.algorithm())?;
        der.sequence(|der| {
            let begin = der.len();
            to_be_signed(der, &algorithm);
            let signature = key
                .sign(der.since(begin))
                .map_err(|error| IssueError::Signing(error.to_string()))?;
            der.element(tag::SEQUENCE, &algorithm);
            der.bit_string(&signature);
            Ok(())
        })
    }
}

/// The content of the AlgorithmIdentifier of the signatures that a key makes.
fn identifier(algorithm: &SignatureAlgorithm) -> Result<AlgorithmIdentifier, IssueError> {
    let known = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, alg_id::ECDSA_SHA256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, alg_id::ECDSA_SHA384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, alg_id::ECDSA_SHA512),
        (&rcgen::PKCS_RSA_SHA256, alg_id::RSA_PKCS1_SHA256),
        (&rcgen::PKCS_ED25519, alg_id::ED25519),
    ];
    let found = known.into_iter().find(|(known, _)| *known == algorithm);
    found.map(|(_, identifier)| identifier).ok_or_else(|| {
        IssueError::Signing(format!(
            "{algorithm:?} signs no revocation lists or OCSP answers"
        ))
    })
}
