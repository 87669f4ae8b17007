//! The variables that Azure's agent reads, and what becomes of each here.

/// Proxies, in lower case. They are obeyed and handed to modules.
pub(super) const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

/// Variables that are obeyed, besides the proxies.
const OBEYED: [&str; 10] = [
    "CoolOffTimeUnitInSeconds",
    "MaxRestartCount",
    "IntensiveCareTimeInMinutes",
    "ConfigRefreshFrequencySecs",
    "ModuleUpdateMode",
    "UpstreamProtocol",
    "RuntimeLogLevel",
    "MetricsEnabled",
    "host",
    "port",
];

const KEPT_ANYWAY: &str = "deployment and state are always kept on the device's own disk";
const OWN_CONNECTION: &str = "the connection to the hub stays open and is watched by itself";
const NO_TELEMETRY: &str = "nothing about this device is sent to the maker of the runtime";
const NO_CONTAINER: &str = "the edge agent is part of aziot-edged and not a container";
const ON_REQUEST: &str = "figures are measured when metrics are asked for";
const TWIN: &str = "deployments come from the device's twin";

/// Variables of Azure's agent that have no effect, and why.
const WITHOUT_EFFECT: [(&str, &str); 27] = [
    ("BackupConfigFilePath", KEPT_ANYWAY),
    ("StorageFolder", KEPT_ANYWAY),
    ("UsePersistentStorage", KEPT_ANYWAY),
    ("EnableNonPersistentStorageBackup", KEPT_ANYWAY),
    ("Storage_LogLevel", KEPT_ANYWAY),
    ("RocksDB_MaxOpenFiles", KEPT_ANYWAY),
    ("RocksDB_MaxTotalWalSize", KEPT_ANYWAY),
    ("RocksDB_MaxManifestFileSize", KEPT_ANYWAY),
    ("OptimizeForPerformance", KEPT_ANYWAY),
    ("CloseCloudConnectionOnIdleTimeout", OWN_CONNECTION),
    ("CloudConnectionIdleTimeoutSecs", OWN_CONNECTION),
    ("UseServerHeartbeat", OWN_CONNECTION),
    ("UseOfflineCheck", OWN_CONNECTION),
    ("SendRuntimeQualityTelemetry", NO_TELEMETRY),
    ("DisableDeviceAnalyticsMetadata", NO_TELEMETRY),
    ("MetricUploadInterval", NO_TELEMETRY),
    ("MetricScrapeInterval", NO_TELEMETRY),
    ("RunAsNonRoot", NO_CONTAINER),
    ("EdgeAgentUserID", NO_CONTAINER),
    ("Mode", NO_CONTAINER),
    ("ManagementApiTimeoutSecs", NO_CONTAINER),
    (
        "RequestTimeoutSecs",
        "direct methods end within the time of their call",
    ),
    ("MetricsHistogramMaxAge", ON_REQUEST),
    ("PerformanceMetricsUpdateFrequency", ON_REQUEST),
    ("ConfigSource", TWIN),
    ("LocalConfigPath", TWIN),
    (
        "EnableOrphanedIdentityCleanup",
        "identities that this device did not make are left alone",
    ),
];

/// What to say about a variable of the agent; `None` when it is obeyed.
#[must_use]
pub fn note_about(name: &str) -> Option<String> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    if PROXIES.into_iter().chain(OBEYED).any(is) {
        return None;
    }
    let known = WITHOUT_EFFECT.iter().find(|(known, _)| is(known));
    Some(match known {
        Some((_, why)) => format!("{name} has no effect: {why}"),
        None => format!("{name} is a variable that nobody reads"),
    })
}
