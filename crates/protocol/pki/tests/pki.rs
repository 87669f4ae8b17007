//! Chains, keys and issuing, from the outside.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test that meets an error has failed"
)]

#[path = "pki/algorithms.rs"]
mod algorithms;
#[path = "pki/cache.rs"]
mod cache;
#[path = "pki/chains.rs"]
mod chains;
#[path = "pki/critical.rs"]
mod critical;
#[path = "pki/crls.rs"]
mod crls;
#[path = "pki/der.rs"]
mod der;
#[path = "pki/differential.rs"]
mod differential;
#[path = "pki/enrolling.rs"]
mod enrolling;
#[path = "pki/forms.rs"]
mod forms;
#[path = "pki/given_crls.rs"]
mod given_crls;
#[path = "pki/issuing.rs"]
mod issuing;
#[path = "pki/keys.rs"]
mod keys;
#[path = "pki/limbo.rs"]
mod limbo;
#[path = "pki/log.rs"]
mod log;
#[path = "pki/ml_dsa.rs"]
mod ml_dsa;
#[path = "pki/name_constraints.rs"]
mod name_constraints;
#[path = "pki/name_forms.rs"]
mod name_forms;
#[path = "pki/ocsp.rs"]
mod ocsp;
#[path = "pki/openssl.rs"]
mod openssl;
#[path = "pki/path_rules.rs"]
mod path_rules;
#[path = "pki/pkcs12.rs"]
mod pkcs12;
#[path = "pki/policies.rs"]
mod policies;
#[path = "pki/possession.rs"]
mod possession;
#[path = "pki/presented.rs"]
mod presented;
#[path = "pki/profiles.rs"]
mod profiles;
#[path = "pki/request_claims.rs"]
mod request_claims;
#[path = "pki/requests.rs"]
mod requests;
#[path = "pki/requests_made.rs"]
mod requests_made;
#[path = "pki/toy.rs"]
mod toy;
#[path = "pki/tpm.rs"]
mod tpm;
