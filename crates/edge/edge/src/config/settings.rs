//! The sections about keys, the TPM, the agent and the container engine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tpm::TpmSettings;

use super::fault::LineNumber;
use super::location::{FileReference, TokenReference};

/// `[aziot_keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11Library {
    /// `pkcs11_lib_path`.
    pub path: PathBuf,
    pub line: LineNumber,
    /// `pkcs11_base_slot`: where the device makes its own keys.
    pub base_slot: Option<TokenReference>,
}

/// An entry of `[preloaded_certs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreloadedCertificate {
    File(FileReference),
    /// A bundle of other certificates, by their ids.
    Bundle(Vec<String>),
}

/// `[tpm]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmSection {
    pub settings: TpmSettings,
    pub line: LineNumber,
}

/// `[watchdog]`: how often the agent is started again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watchdog {
    /// `None` is `"infinite"`.
    pub max_retries: Option<u32>,
}

/// `[image_garbage_collection]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageGc {
    pub enabled: bool,
    /// `cleanup_recurrence`, whole days.
    pub recurrence: Duration,
    /// `image_age_cleanup_threshold`: how long an image has to be unused.
    pub unused_for: Duration,
    /// `cleanup_time`: minutes after midnight, UTC.
    pub minute_of_day: u16,
}

impl Default for ImageGc {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            enabled: true,
            recurrence: DAY,
            unused_for: DAY.saturating_mul(7),
            minute_of_day: 0,
        }
    }
}

/// `[listen]`: sockets beside the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sockets {
    /// `management_uri`, if it is not the usual one.
    pub management: Option<PathBuf>,
    /// `workload_uri`, if it is not the usual one.
    pub workload: Option<PathBuf>,
}

/// `[moby_runtime]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobyRuntime {
    pub socket: PathBuf,
    pub network: Network,
}

impl MobyRuntime {
    /// `unix://` URI of the engine.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Default for MobyRuntime {
    fn default() -> Self {
        Self {
            socket: Path::new("/var/run/docker.sock").to_owned(),
            network: Network::default(),
        }
    }
}

/// The network of the modules. It is made with these settings when it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// As the configuration names it.
    pub name: String,
    pub ipv6: bool,
    /// `ipam.config`.
    pub ranges: Vec<AddressRange>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            name: "azure-iot-edge".to_owned(),
            ipv6: false,
            ranges: Vec::new(),
        }
    }
}

/// An entry of `ipam.config`, as the engine takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressRange {
    pub gateway: Option<IpAddr>,
    /// `172.18.0.0/16`.
    pub subnet: Option<String>,
    /// `ip_range`, a part of the subnet.
    pub part: Option<String>,
}
