//! ML-DSA (FIPS 204), in certificates as RFC 9881 has it: signatures that a quantum computer does
//! not forge.

use aws_lc_rs::signature::{self, PqdsaSigningAlgorithm};
use rcgen::SignatureAlgorithm;
use rustls::SignatureScheme as TlsScheme;
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use webpki::aws_lc_rs as algorithms;

/// A parameter set. Issuing with it is an experiment: few clients verify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlDsa {
    /// ML-DSA-44, category 2: as hard as a collision of SHA-256.
    Level44,
    /// ML-DSA-65, category 3: as hard as AES-192.
    Level65,
    /// ML-DSA-87, category 5: as hard as AES-256.
    Level87,
}

impl MlDsa {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::Level44, Self::Level65, Self::Level87];

    /// The name in texts and lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Level44 => "ML-DSA-44",
            Self::Level65 => "ML-DSA-65",
            Self::Level87 => "ML-DSA-87",
        }
    }

    pub(super) fn signing(self) -> &'static PqdsaSigningAlgorithm {
        match self {
            Self::Level44 => &signature::ML_DSA_44_SIGNING,
            Self::Level65 => &signature::ML_DSA_65_SIGNING,
            Self::Level87 => &signature::ML_DSA_87_SIGNING,
        }
    }

    pub(crate) fn verification(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self {
            Self::Level44 => algorithms::ML_DSA_44,
            Self::Level65 => algorithms::ML_DSA_65,
            Self::Level87 => algorithms::ML_DSA_87,
        }
    }

    /// The AlgorithmIdentifier of keys and of signatures.
    pub(crate) fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::Level44 => alg_id::ML_DSA_44,
            Self::Level65 => alg_id::ML_DSA_65,
            Self::Level87 => alg_id::ML_DSA_87,
        }
    }

    pub(crate) fn in_rcgen(self) -> &'static SignatureAlgorithm {
        match self {
            Self::Level44 => &rcgen::PKCS_ML_DSA_44,
            Self::Level65 => &rcgen::PKCS_ML_DSA_65,
            Self::Level87 => &rcgen::PKCS_ML_DSA_87,
        }
    }

    pub(super) fn in_tls(self) -> TlsScheme {
        match self {
            Self::Level44 => TlsScheme::ML_DSA_44,
            Self::Level65 => TlsScheme::ML_DSA_65,
            Self::Level87 => TlsScheme::ML_DSA_87,
        }
    }
}
