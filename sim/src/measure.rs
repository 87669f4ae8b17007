//! What the benchmarks share: certificates made in advance, the kernel's figures of a process,
//! quantiles, the ids of a stored fleet, the accept loop of bare servers, tables.

mod hierarchy;
mod process;
mod quantile;
mod rows;
mod stored;
mod tls_listener;

pub use hierarchy::{Hierarchy, IssuedBy};
pub use process::{Resident, Usage};
pub use quantile::{median, quantile};
pub use rows::Rows;
pub use stored::stored_id;
pub use tls_listener::{listen, printed_address, server_certificate};
