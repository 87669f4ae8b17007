//! Muster's own: what Azure's management API cannot say.

use ids::{DeviceId, HubHost, Timestamp};
use serde::{Deserialize, Serialize};

use super::Engine;

/// `GET /muster/status`: everything `iotedge system status` and `check` show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    /// Version of the runtime.
    pub version: String,
    /// The process id of the runtime.
    pub process_id: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// What it knows of its registration.
    pub provisioning: Provisioning,
    /// The state of its connection to the hub.
    pub connection: Connection,
    /// What is wrong with the machine's clock; absent when nothing is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_problem: Option<String>,
    /// The container engine and its version.
    pub engine: Engine,
    /// Version of the desired properties that are followed, when there are any.
    pub deployment_version: Option<u64>,
    /// Why the deployment is not followed in full; empty when it is.
    pub deployment_problems: Vec<String>,
    /// What of the deployment has no effect, or another one than it asks for.
    pub deployment_warnings: Vec<String>,
    /// The certificates of the device.
    #[serde(default)]
    pub certificates: Vec<CertificateStatus>,
}

/// A certificate of the device, and its renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Azure's name of it, such as `device-id` and `aziot-edged-ca`.
    pub id: String,
    /// The subject, in the form of RFC 4514. Like the times, absent before the first is issued.
    pub subject: Option<String>,
    /// The first second of its validity.
    pub not_before: Option<Timestamp>,
    /// The last second of its validity.
    pub not_after: Option<Timestamp>,
    /// When it is renewed; `None` for one that its owner has to renew.
    pub renewal_due: Option<Timestamp>,
    /// Why the last attempt to issue it failed.
    pub problem: Option<String>,
}

/// How far the device has come with its registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Provisioning {
    /// No configuration has been applied.
    Unconfigured {
        /// The command that configures the device, in words.
        hint: String,
    },
    /// Registering now, or about to.
    Registering {
        /// The number of attempts that have failed.
        failures: u32,
        /// Why the last one failed.
        problem: Option<String>,
        /// When the next one is due.
        next: Option<Timestamp>,
    },
    /// The device is assigned to a hub.
    #[serde(rename_all = "camelCase")]
    Provisioned {
        /// The host of the assigned hub.
        hub: HubHost,
        /// The device id in that hub.
        device_id: DeviceId,
        /// The time of the assignment, UTC.
        since: Timestamp,
        /// Why something newer could not be had; what was had before still works.
        problem: Option<String>,
    },
}

/// The state of the connection to the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Connection {
    /// Not connected and not trying.
    Idle,
    /// An attempt to connect is in progress, or due later.
    Connecting {
        /// Why the last attempt failed.
        problem: Option<String>,
        /// When the next one is due.
        next: Option<Timestamp>,
    },
    /// A session with the hub is open.
    Connected {
        /// The time at which the session began, UTC.
        since: Timestamp,
    },
}

/// The answer of `POST /muster/reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// What was started anew, in words; empty when nothing had changed.
    pub restarted: Vec<String>,
}

/// The body of `PUT /muster/log-level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}
