//! The HTTP APIs on unix sockets: for the owner of the device, and for its modules.

pub(crate) mod http;
pub mod management;
pub(crate) mod own_path;
pub(crate) mod tpm;
pub mod unix_socket;
pub mod workload;
