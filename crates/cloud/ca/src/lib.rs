//! The only holder of issuing keys.
//!
//! Three owners: [`CaDirectory`], the hierarchy of `muster ca` in the folder layout of Azure's demo
//! scripts (so that its guide works verbatim, with proper profiles and modes), [`ServerAuthority`],
//! the small CA of `muster serve` that keeps its server certificate fresh, and [`DeviceIssuers`],
//! which issue to devices as they register. Private keys are written 0600 into 0700 folders, whole
//! or not at all.

mod directory;
mod error;
mod files;
mod issuers;
mod layout;
mod server;

pub use directory::{
    CaDirectory, CaPaths, EdgeIdentity, Existing, IdentityOptions, InitOptions, IssueOutcome,
    Signer,
};
pub use error::CaError;
pub use files::read_passphrase;
pub use issuers::{DeviceIssuers, IssuedChain, IssuerError, PortableIssuer};
pub use pki::KeyType;
pub use server::{ServerAuthority, ServerCredential, ServerKind};
