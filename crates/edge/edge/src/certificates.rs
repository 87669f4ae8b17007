//! The certificates of the device: kept in two slots on disk, renewed before they expire, and used
//! for their successors.

mod check;
mod keys;
mod managed;
mod slots;
mod source;

pub use check::CertificateFault;
pub use keys::{KeyFiles, KeyPairError, KeyPairs};
pub use managed::{Managed, ManagedError, Presentable, Renewal, Step, Wanted};
pub use slots::{HeldChain, HeldKey, Kept};
pub use source::IdentitySource;
