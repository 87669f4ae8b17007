//! What the benchmarks share: certificates made in advance, the kernel's figures of a process,
//! quantiles.

mod hierarchy;
mod process;
mod quantile;

pub use hierarchy::{Hierarchy, IssuedBy};
pub use process::{Resident, Usage};
pub use quantile::{median, quantile};
