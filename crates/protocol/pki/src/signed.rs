//! What an issuer signs beside certificates: `SEQUENCE { toBeSigned, algorithm, signature }`.

use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use crate::der::{Writer, tag};
use crate::{IssueError, Issuer, KeyAlgorithm, SignatureScheme};

impl Issuer {
    /// Appends what `to_be_signed` writes, one element, together with the algorithm and the
    /// signature. The closure gets the algorithm, which CRLs repeat inside.
    pub(crate) fn write_signed(
        &self,
        der: &mut Writer,
        to_be_signed: impl FnOnce(&mut Writer, &AlgorithmIdentifier),
    ) -> Result<(), IssueError> {
        let key = self.signer();
        let kind = key.public_key().kind();
        let algorithm = identifier(kind);
        der.sequence(|der| {
            let begin = der.len();
            to_be_signed(der, &algorithm);
            let scheme = SignatureScheme::for_issuing(kind);
            let signature = key
                .sign(scheme, der.since(begin))
                .map_err(IssueError::Signing)?;
            der.element(tag::SEQUENCE, &algorithm);
            der.bit_string(&signature);
            Ok(())
        })
    }
}

/// The content of the AlgorithmIdentifier of the signatures that keys of a kind make.
fn identifier(algorithm: KeyAlgorithm) -> AlgorithmIdentifier {
    match algorithm {
        KeyAlgorithm::P256 => alg_id::ECDSA_SHA256,
        KeyAlgorithm::P384 => alg_id::ECDSA_SHA384,
        KeyAlgorithm::P521 => alg_id::ECDSA_SHA512,
        KeyAlgorithm::Ed25519 => alg_id::ED25519,
        KeyAlgorithm::Rsa => alg_id::RSA_PKCS1_SHA256,
        KeyAlgorithm::MlDsa(level) => level.identifier(),
    }
}
