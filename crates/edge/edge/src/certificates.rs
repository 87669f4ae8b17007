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
pub(crate) use identity_files::read_certificates;
pub use identity_files::{ConfiguredKeyFiles, ConfiguredKeys};
pub use issuer::{IssuanceError, LocalCa, OpenCa};
pub use keys::{KeyFiles, KeyPairError, KeyPairs};
pub use managed::{Managed, ManagedError};
pub use module::{ModuleCertificate, ModuleCertificateError, identity, server};
pub use source::IdentitySource;
