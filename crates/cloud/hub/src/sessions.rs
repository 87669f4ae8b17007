//! Sessions of devices and modules: from the CONNECT to the last packet.

pub(crate) mod certificates;
pub(crate) mod connect;
pub(crate) mod prove;

pub(crate) mod mqtt;
pub(crate) mod watcher;

pub(crate) mod presence;
pub(crate) mod revoked;
