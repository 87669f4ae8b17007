//! The certificates of the device: issued by the method that the configuration names, kept in two
//! slots on disk, renewed before they expire, and used for their successors.
//!
//! ```text
//!  config ─► Certificates ─┬─ identity: Managed ◄── RenewalTask ──► CertificateIssuer
//!                          │     │  IdentitySource                    EST, local CA, self, hub
//!                          │     ▼
//!                          │  provision, connect: present it, say what the hub accepted
//!                          └─ Edge CA: Managed ◄── RenewalTask
//!                                │
//!                                ▼
//!                             workload API: certificates of modules, trust bundle
//! ```

mod assemble;
mod check;
mod edge_ca;
mod expiry;
mod hub_issuer;
mod identity_files;
mod issuer;
mod keys;
mod managed;
mod module;
mod renewal_task;
mod slots;
mod source;

pub use assemble::{CertificateParts, Certificates};
pub use edge_ca::EdgeCa;
pub use expiry::warning;
pub use identity_files::ConfiguredKeys;
pub(crate) use identity_files::read_certificates;
pub use issuer::{IssuanceError, LocalCa, OpenCa};
#[cfg(test)]
pub(crate) use keys::tests::keys_in;
pub use keys::{KeyPairError, KeyPairs, RoleKeys};
pub use managed::{Managed, ManagedError};
pub use module::{ModuleCertificate, ModuleCertificateError, identity, server};
pub use source::IdentitySource;
