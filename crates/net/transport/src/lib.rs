//! Connections of devices and clients: from a listening socket to requests and MQTT sessions.
//!
//! [`accept`] takes connections and does TLS, [`https`] and [`mqtt_connection`] speak the protocols, and the services
//! behind them are a [`DeviceService`] and an [`HttpService`]. What a client that has proved nothing may cost is bounded here.

#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

pub mod accept;
pub mod bind;
mod body;
pub mod budget;
mod device_session;
#[cfg(test)]
mod fake;
pub mod health_port;
pub mod https;
pub mod listen_queue;
pub mod mqtt_connection;
pub mod pace;
mod service;
pub mod sessions;
pub mod shutdown;
pub mod tls;
mod websocket;
mod write_timeout;

pub use device_session::{Close, ConnectRefused, DeviceSession, Ending, Outgoing};
pub use service::{DeviceService, HttpService};
