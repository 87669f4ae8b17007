//! The only crate that loads issuing keys.
//!
//! [`CaDirectory`] is the hierarchy of `muster ca`, in the folder layout of Azure's demo scripts,
//! so that its guide works as it is. [`ServerCa`] is the small CA of `muster serve` that renews the
//! server's certificate. [`DeviceIssuers`] issue to devices as they register. Private keys are
//! written with mode 0600 into folders of mode 0700, whole or not at all.

mod directory;
mod error;
mod file_name;
mod files;
mod issuers;
mod layout;
mod server;
mod sign;
mod workers;

pub use directory::{
    CaDirectory, CaPaths, CertificateState, CrlOptions, CrossPaths, Existing, ExternalRoot,
    IdentityKind, IdentityOptions, InitOptions, IssueOutcome, IssuedIdentity, RefusedRequest,
    RequestSource, RevocationChange, RevokedSince, RollOptions, RollStatus, RolledCa,
    RootRollOptions, RootRollStatus, SignObserver, SignOptions, SignOutcome, Signer, WrittenCrl,
};
pub use error::{CaError, RollProblem};
pub use files::read_passphrase;
pub use issuers::{
    DeviceIssuers, IssuedChain, IssuerError, IssuerKeyOptions, KeyStorage, OpenIssuer,
    PortableIssuer, SealOutcome, TokenIssuer,
};
pub use pki::{KeyType, MlDsa};
pub use server::{ServerCa, ServerCredential, ServerKind};
