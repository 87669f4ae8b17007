//! Connections of devices and clients, from the listening socket to HTTP
//! requests and MQTT sessions.
//!
//! [`accept`] accepts and does the TLS handshake, [`https`] and [`mqtts`] speak the protocols. What
//! they serve is a [`DeviceService`] and an [`HttpService`] of the program. What a client may cost
//! before it has proved its identity is bounded here. [`sessions`] is what a service needs to reach
//! the devices that are connected.

#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

pub mod accept;
pub mod address_limit;
mod peer;
pub mod tls;
pub mod unproven;

mod body;
pub mod https;
mod mqtt_connection;
pub mod mqtts;
mod websocket;
mod write_timeout;

mod device_session;
pub mod pace;
mod service;
pub mod sessions;

pub mod bind;
pub mod budget;
pub mod listen_queue;
pub mod plain_http;
pub mod shutdown;

#[cfg(test)]
mod fake;

pub use device_session::{
    Close, ConnectRefused, DeviceSession, Ending, NotKept, Outgoing, Receipt,
};
pub use peer::Peer;
pub use service::{DeviceService, HttpService};
