//! Messages of devices to the hub, and calls of the hub to devices.

pub(crate) mod method;
pub(crate) mod open_streams;
pub(crate) mod relay;
pub(crate) mod telemetry;

pub(crate) mod expiry;
pub(crate) mod queue_expiry;
