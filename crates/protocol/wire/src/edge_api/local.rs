//! What programs on a device say to each other over unix sockets: the workload API that modules
//! use, the management API that `iotedge` uses, and what Muster adds under `/muster`.

mod addition;
mod management;
mod workload;

use serde::{Deserialize, Serialize};

pub use addition::{CertificateStatus, Connection, DaemonStatus, LogLevel, Provisioning, Reload};
pub use management::{
    Engine, ExitStatus, LogsQuery, ModuleDetails, ModuleList, ModuleState, ModuleStatus, SystemInfo,
};
pub use workload::{
    CertificateResponse, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse,
    IdentityCertificateRequest, PrivateKey, ServerCertificateRequest, SignRequest, SignResponse,
    TrustBundle,
};

/// The version that `iotedge` asks for.
pub const API_VERSION: &str = "2022-08-03";
/// All versions that are answered.
pub const API_VERSIONS: [&str; 7] = [
    "2018-06-28",
    "2019-01-30",
    "2019-10-22",
    "2019-11-05",
    "2020-07-07",
    "2021-12-07",
    "2022-08-03",
];

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A description of the error for people.
    pub message: String,
}

/// Whether a query string names one of the versions that are answered.
#[must_use]
pub fn version_is_known(query: &str, answered: &[&str]) -> bool {
    let given = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "api-version");
    given.is_some_and(|(_, version)| answered.contains(&version))
}
