//! The device API: register, poll and look up, over HTTPS and MQTT.

pub mod est;
pub mod http;
pub mod mqtt;
