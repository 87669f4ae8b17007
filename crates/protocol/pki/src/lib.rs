//! Certificates and keys without I/O: chains in, proofs out.
//!
//! A presented chain is untrusted ([`PresentedChain`]). Two functions turn it into proof, and
//! nothing else does: [`verify_chain`] for enrollment groups ([`VerifiedChain`]) and [`pin_leaf`]
//! for individual enrollments ([`PinnedLeaf`]). Possession of the leaf's key is proven by the TLS
//! handshake before either is asked.
//!
//! The other direction is issuing: a [`Profile`] is prepared, linted and signed once
//! ([`prepare`]). This crate never opens a file or a socket and never reads a clock; the keys it
//! is handed stay in zeroized memory.

#![warn(missing_docs)]

mod cert;
mod chain;
mod cms;
mod crl;
mod csr_attributes;
mod der;
mod jws;
mod key;
mod ocsp;
mod pkcs12;
mod possession;
mod request;

mod issuing_profile;
mod profile;
mod subject;

mod lint;

mod issue;
mod signed;

pub mod log;

pub mod tpm;

pub use cert::{Certificate, CertificateError, LeafKey, PemError, RsaWeakness, sha256};
pub use chain::{
    ChainError, ConformityFault, GivenCrls, IssuerCache, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES,
    PathRules, PeerChain, PinnedLeaf, PresentedChain, Purpose, RevocationCheck, RevocationStatus,
    Revocations, SeenIssuers, UnreadChain, UnusableCaCertificate, UsableCaCertificate,
    VerifiedChain, may_identify, may_issue, pin_certificate, pin_leaf, supported_key,
    usable_ca_certificate, verify_chain, verify_path, verify_path_to_any,
};
pub use cms::{CmsError, MAX_CMS_BYTES, MAX_CMS_CERTIFICATES, certs_only, read_certs_only};
pub use crl::{
    CrlError, CrlFields, CrlNumber, CrlRefused, Entries, MAX_CRL_BYTES, RevocationReason,
    RevokedEntry, UnverifiedCrl, VerifiedCrl, build_crl, crl_to_pem,
};
pub use csr_attributes::csr_attributes;
pub use der::DerError;
pub use issue::{
    IssueError, IssueToken, Issuer, Prepared, PreparedRequest, Publication, RequestToken, Serial,
    prepare,
};
pub use issuing_profile::{AdmittedRequest, IssuingProfile, ProfileConfig, ProfileError};
pub use jws::{JwsAlgorithm, VerifyingKey, VerifyingKeyError};
pub use key::{
    KeyAlgorithm, KeyError, KeyMatches, KeyMismatch, KeyType, MlDsa, PrivateKey, PublicKey,
    RsaHash, SignError, SignatureScheme, Signer, TokenKey, ecdsa_signature_der, seal, unseal,
};
pub use lint::{LintError, LintFinding};
pub use ocsp::{
    CaHashes, CertId, MAX_OCSP_IDS, MAX_OCSP_REQUEST_BYTES, OcspAnswer, OcspFailure, OcspHash,
    OcspRequest, OcspRequestError, OcspStatus, build_ocsp_response, ocsp_failure,
};
pub use pkcs12::export_pkcs12;
pub use possession::{PossessionError, PossessionProof, prove_possession};
pub use profile::{Profile, ServerName, Validity};
pub use request::{
    MAX_REQUEST_BYTES, MAX_REQUEST_NAMES, ProvenRequest, RequestClaim, RequestError, RequestKey,
    make_request, prove_request,
};
pub use subject::{NameAttribute, Subject};
