//! The sections about keys, the TPM, the agent and the container engine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::LineNumber;
use super::location::{FileReference, TokenReference};
use super::secret::Secret;

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
pub struct TpmSettings {
    pub tcti: Tcti,
    /// `auth_key_index`: the key of DPS attestation is kept at 0x81000000 and this.
    pub auth_key_index: u32,
    /// `hierarchy_authorization.endorsement`.
    pub endorsement: Secret,
    /// `hierarchy_authorization.owner`.
    pub owner: Secret,
    /// The line of the section; that of the attestation where the section is absent.
    pub line: LineNumber,
}

impl Default for TpmSettings {
    fn default() -> Self {
        Self {
            tcti: Tcti::default(),
            auth_key_index: 0x100,
            endorsement: Secret::new(String::new()),
            owner: Secret::new(String::new()),
            line: LineNumber(1),
        }
    }
}

/// How the TPM is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcti {
    /// `device` or `device:/dev/tpmrm0`.
    Device(PathBuf),
    /// `swtpm:host=localhost,port=2321`: a simulator that speaks TCP.
    Swtpm { host: String, port: u16 },
    /// `swtpm:path=/run/swtpm.sock`: a simulator with a socket in the file system.
    SwtpmSocket(PathBuf),
    /// `tabrmd`: the access broker on the system's bus.
    Tabrmd,
}

impl Default for Tcti {
    fn default() -> Self {
        Self::Device(Path::new("/dev/tpmrm0").to_owned())
    }
}

impl std::fmt::Display for Tcti {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
            Self::SwtpmSocket(path) => write!(f, "swtpm:path={}", path.display()),
            Self::Tabrmd => f.write_str("tabrmd:"),
        }
    }
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
    /// `cleanup_time`: minutes after midnight, local time.
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
