//! The configuration of `muster serve`: flags over a TOML file over defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dps::AdmissionLimits;
use hub::{DeviceLimits, HubLimits, UploadOptions};
use ids::{HubHost, Network};
use provisioning::Retention;
use serde::Deserialize;
use transport::budget::Wanted;
use transport::pace::Pace;
use transport::tls::certificate_files::OwnCertificate;

mod issuer_keys;
mod limits;
mod retention;
mod uploads;

use issuer_keys::{IssuerKeyConfig, IssuerKeyFlags, IssuerKeyTable};
use limits::LimitsTable;
use retention::{AuditTable, CertificatesTable, RefusalsTable, TelemetryTable};
use uploads::UploadsTable;

/// `muster serve` flags. A flag that is given overrides the same key of the configuration file.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  \
        muster serve --data-dir /var/lib/muster --hostname hub.example.org --listen 0.0.0.0")]
pub struct ServeFlags {
    /// A TOML file with the same settings; `muster config template` prints one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name under which devices reach this server [default: localhost].
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The address to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "ADDR")]
    listen: Option<IpAddr>,
    /// HTTPS and MQTT over WebSocket [default: 443].
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// MQTT over TLS [default: 8883].
    #[arg(long, value_name = "PORT")]
    mqtts_port: Option<u16>,
    /// A listener of its own for /healthz, /readyz and /metrics, in plain
    /// HTTP, for example 127.0.0.1:9464.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// A port of its own for what issuers publish (CA certificates, revocation lists, OCSP), in plain
    /// HTTP. Certificates then name it.
    #[arg(long, value_name = "PORT")]
    pki_http_port: Option<u16>,
    /// PEM file with a server certificate of your own and its issuers, beside the one that
    /// the server makes itself.
    #[arg(long, value_name = "FILE", requires = "server_key")]
    server_certificate: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[arg(long, value_name = "FILE", requires = "server_certificate")]
    server_key: Option<PathBuf>,
    /// PEM file of CAs that are trusted beside the system's when webhooks are called.
    #[arg(long, value_name = "FILE")]
    outbound_ca: Option<PathBuf>,
    #[command(flatten)]
    issuer_keys: IssuerKeyFlags,
}

impl ServeFlags {
    fn own_certificate(&self) -> Option<Vec<OwnCertificate>> {
        let (certificate, key) = self
            .server_certificate
            .clone()
            .zip(self.server_key.clone())?;
        Some(vec![OwnCertificate {
            certificate,
            key,
            ca: None,
        }])
    }
}

/// The configuration file. Every key is optional, unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: Option<PathBuf>,
    hostname: Option<String>,
    listen: Option<IpAddr>,
    https_port: Option<u16>,
    mqtts_port: Option<u16>,
    metrics_listen: Option<SocketAddr>,
    metrics_on_https_port: Option<bool>,
    pki_http_port: Option<u16>,
    publish_certificate_logs: Option<bool>,
    outbound_ca: Option<PathBuf>,
    #[serde(default)]
    issuer_keys: IssuerKeyTable,
    #[serde(default)]
    outbound_networks: Vec<Network>,
    #[serde(default)]
    outbound_guards_first_service: bool,
    max_connections: Option<usize>,
    limits: Option<LimitsTable>,
    #[serde(default)]
    audit: AuditTable,
    #[serde(default)]
    refusals: RefusalsTable,
    #[serde(default)]
    certificates: CertificatesTable,
    #[serde(default)]
    telemetry: TelemetryTable,
    #[serde(default)]
    uploads: UploadsTable,
    #[serde(default)]
    server_certificates: Vec<OwnCertificate>,
}

/// The complete configuration. Only [`ServeConfig::from_flags`] makes it, so every value is valid.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    pub data_dir: PathBuf,
    pub hostname: String,
    pub https: SocketAddr,
    pub mqtts: SocketAddr,
    /// A port of its own for health and metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `/metrics` is on the HTTPS port, where every client may read it.
    pub metrics_on_https_port: bool,
    /// A port of its own for what issuers publish.
    pub pki_http: Option<SocketAddr>,
    /// Whether anybody may read the logs of issued certificates, without the certificates.
    pub publishes_logs: bool,
    pub outbound_ca: Option<PathBuf>,
    /// Where issuing keys may be, and what seals them.
    pub issuer_keys: IssuerKeyConfig,
    /// Private networks that every provisioning service may call.
    pub outbound_networks: Vec<Network>,
    /// Whether the first service, too, may call only public addresses and these.
    pub outbound_guards_first_service: bool,
    /// Connections held at once.
    pub connections: Wanted,
    /// Connections of one address.
    pub connections_per_address: usize,
    /// Registrations and polls of devices.
    pub limits: AdmissionLimits,
    /// What each hub may be asked for.
    pub hub_limits: HubLimits,
    /// What each device may ask its hub for.
    pub device_limits: DeviceLimits,
    /// How much of the audit, the refusals and the telemetry is kept.
    pub retention: Retention,
    /// How much telemetry may be sent.
    pub pace: Pace,
    /// Files that devices upload.
    pub uploads: UploadOptions,
    /// Certificates of the operator.
    pub server_certificates: Vec<OwnCertificate>,
}

const DEFAULT_MAX_CONNECTIONS: usize = 100_000;

impl ServeConfig {
    /// Reads the configuration file. Flags override it, and it overrides the defaults.
    pub fn from_flags(flags: &ServeFlags, data_dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let file = flags
            .config
            .as_deref()
            .map(read_file)
            .transpose()?
            .unwrap_or_default();
        let Some(data_dir) = data_dir.or(file.data_dir) else {
            bail!("no data directory: give --data-dir DIR, or data_dir in the configuration file");
        };
        let hostname = flags
            .hostname
            .clone()
            .or(file.hostname)
            .unwrap_or_else(|| "localhost".to_owned());
        let parsed = HubHost::parse(&hostname).context("--hostname")?;
        if parsed.port().is_some() {
            bail!("--hostname {hostname:?} carries a port; give the port with --https-port");
        }
        let address = flags
            .listen
            .or(file.listen)
            .unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let limits = file.limits.unwrap_or_default();
        let port = |flag: Option<u16>, file: Option<u16>, default| flag.or(file).unwrap_or(default);
        Ok(Self {
            uploads: file.uploads.options(&data_dir),
            data_dir,
            hostname,
            https: (address, port(flags.https_port, file.https_port, 443)).into(),
            mqtts: (address, port(flags.mqtts_port, file.mqtts_port, 8883)).into(),
            metrics_listen: flags.metrics_listen.or(file.metrics_listen),
            metrics_on_https_port: file.metrics_on_https_port.unwrap_or(true),
            pki_http: flags
                .pki_http_port
                .or(file.pki_http_port)
                .map(|port| (address, port).into()),
            publishes_logs: file.publish_certificate_logs.unwrap_or(true),
            outbound_ca: flags.outbound_ca.clone().or(file.outbound_ca),
            issuer_keys: flags.issuer_keys.over(file.issuer_keys)?,
            outbound_networks: file.outbound_networks,
            outbound_guards_first_service: file.outbound_guards_first_service,
            connections: limits
                .connections(file.max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS)),
            connections_per_address: limits.connections_per_address(),
            hub_limits: limits.of_hubs(),
            device_limits: limits.of_hub_devices(),
            limits: limits.of_devices(),
            pace: file.telemetry.pace(),
            retention: retention::of(file.audit, file.refusals, file.certificates, file.telemetry),
            server_certificates: flags.own_certificate().unwrap_or(file.server_certificates),
        })
    }

    /// Where issuers publish in plain HTTP, as certificates name it.
    pub fn pki_address(&self, port: u16) -> String {
        match port {
            80 => format!("http://{}", self.hostname),
            port => format!("http://{}:{port}", self.hostname),
        }
    }

    /// The host of the first hub in assignments: with a port only when HTTPS is not on 443.
    pub fn hub_host(&self, https_port: u16) -> anyhow::Result<HubHost> {
        let text = match https_port {
            443 => self.hostname.clone(),
            port => format!("{}:{port}", self.hostname),
        };
        HubHost::parse(&text).context("the server's host name")
    }
}

fn read_file(path: &Path) -> anyhow::Result<ConfigFile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(text.trim_start_matches('\u{feff}')).with_context(|| {
        format!(
            "{} is not valid; `muster config template` prints every key",
            path.display()
        )
    })
}

/// The commented configuration file that `muster config template` prints.
pub const TEMPLATE: &str = include_str!("config/template.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_template_is_a_key_that_parses() {
        let uncommented: String = TEMPLATE
            .lines()
            .filter_map(|line| {
                line.strip_prefix("# ")
                    .or(line.strip_prefix("[").map(|_| line))
            })
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .map(|line| format!("{line}\n"))
            .collect();
        let file: ConfigFile = toml::from_str(&uncommented).unwrap();
        assert_eq!(file.https_port, Some(443));
        assert_eq!(
            uncommented.lines().count(),
            13 + 1 + 9 + 1 + 14 + 1 + 5 + 1 + 3 + 1 + 4 + 1 + 1 + 1 + 1 + 1 + 6 + 1 + 3 + 4
        );
        assert_eq!(file.telemetry.pace(), Pace::default());
        let retention = retention::of(file.audit, file.refusals, file.certificates, file.telemetry);
        let hub = ids::HubName::parse("hub").unwrap();
        let mut usual = Retention::default();
        let telemetry = &mut usual.registry.telemetry;
        telemetry.of_hubs = vec![(hub, telemetry.usual)];
        assert_eq!(retention, usual);
        let limits = file.limits.unwrap();
        assert_eq!(
            limits.connections_per_address(),
            LimitsTable::default().connections_per_address()
        );
        assert_eq!(limits.of_hubs(), HubLimits::default());
        assert_eq!(limits.of_hub_devices(), DeviceLimits::default());
        let services = vec![("0ne00000000".to_owned(), Some(1000))];
        let limits = limits.of_devices();
        assert_eq!(limits.registrations_per_minute_by_scope, services);
        let registrations_per_minute_by_scope = Vec::new();
        let limits = AdmissionLimits {
            registrations_per_minute_by_scope,
            ..limits
        };
        assert_eq!(
            limits,
            AdmissionLimits::default(),
            "the template shows the defaults"
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("muster.toml");
        std::fs::write(&path, "hostname = \"a\"\nhttp_port = 1\n").unwrap();
        let error = format!("{:#}", read_file(&path).unwrap_err());
        assert!(
            error.contains("http_port") && error.contains("line 2"),
            "{error}"
        );
        std::fs::write(&path, "[limits]\nregistrations_per_hour = 1\n").unwrap();
        let error = format!("{:#}", read_file(&path).unwrap_err());
        assert!(error.contains("registrations_per_hour"), "{error}");
    }
}
