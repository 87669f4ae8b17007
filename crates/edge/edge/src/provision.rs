//! How the device gets its hub: what it proves itself with, one registration, and the decisions.

pub mod access;
pub mod assignment;
pub mod basis;
pub mod clock_guard;
pub mod guarded_clock;
pub mod machine;
mod registration;
mod role_key;

pub use access::{AccessError, CloudAccess, DeviceCredential};
pub use registration::{RegisterError, register};
pub use role_key::RoleKey;
