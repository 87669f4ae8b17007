//! What `muster serve` is told: flags over a TOML file over defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dps::AdmissionLimits;
use ids::{HubHost, Network};
use provisioning::Retention;
use serde::Deserialize;
use transport::budget::Wanted;
use transport::pace::Pace;
use transport::tls::certificate_files::OwnCertificate;

mod limits;
mod retention;

use limits::LimitsTable;
use retention::{AuditTable, RefusalsTable, TelemetryTable};

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
    /// A listener of its own for /healthz, /readyz and /metrics, in plain HTTP, for example 127.0.0.1:9464.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// PEM file with a server certificate of your own and its issuers, beside the one that the server makes itself.
    #[arg(long, value_name = "FILE", requires = "server_key")]
    server_certificate: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[arg(long, value_name = "FILE", requires = "server_certificate")]
    server_key: Option<PathBuf>,
    /// PEM file of CAs that are trusted beside the system's when webhooks are called.
    #[arg(long, value_name = "FILE")]
    outbound_ca: Option<PathBuf>,
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

/// The file's form; every key is optional, unknown keys are errors.
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
    outbound_ca: Option<PathBuf>,
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
    telemetry: TelemetryTable,
    #[serde(default)]
    server_certificates: Vec<OwnCertificate>,
}

/// What the server runs with; made only by [`ServeConfig::from_flags`], so every value has been looked at.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    pub data_dir: PathBuf,
    pub hostname: String,
    pub https: SocketAddr,
    pub mqtts: SocketAddr,
    /// Where health and metrics have a listener of their own.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `/metrics` is on the HTTPS port, where everybody may read it.
    pub metrics_on_https_port: bool,
    pub outbound_ca: Option<PathBuf>,
    /// Private networks that every service may call.
    pub outbound_networks: Vec<Network>,
    /// Whether the first service may call no others either.
    pub outbound_guards_first_service: bool,
    /// Connections held at once.
    pub connections: Wanted,
    /// Connections of one address.
    pub connections_per_address: usize,
    /// Requests of devices.
    pub limits: AdmissionLimits,
    /// What is kept of what happened.
    pub retention: Retention,
    /// How much telemetry may be sent.
    pub pace: Pace,
    /// Certificates that the server does not make itself.
    pub server_certificates: Vec<OwnCertificate>,
}

const DEFAULT_MAX_CONNECTIONS: usize = 100_000;

impl ServeConfig {
    /// Puts flags over the file's values over the defaults.
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
            data_dir,
            hostname,
            https: (address, port(flags.https_port, file.https_port, 443)).into(),
            mqtts: (address, port(flags.mqtts_port, file.mqtts_port, 8883)).into(),
            metrics_listen: flags.metrics_listen.or(file.metrics_listen),
            metrics_on_https_port: file.metrics_on_https_port.unwrap_or(true),
            outbound_ca: flags.outbound_ca.clone().or(file.outbound_ca),
            outbound_networks: file.outbound_networks,
            outbound_guards_first_service: file.outbound_guards_first_service,
            connections: limits
                .connections(file.max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS)),
            connections_per_address: limits.connections_per_address(),
            limits: limits.of_devices(),
            pace: file.telemetry.pace(),
            retention: retention::of(file.audit, file.refusals, file.telemetry),
            server_certificates: flags.own_certificate().unwrap_or(file.server_certificates),
        })
    }

    /// The hub's host as devices are told it: with a port only when HTTPS is not on 443.
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
pub const TEMPLATE: &str = "\
# Configuration of `muster serve`. Every key is optional; flags override this file.

# Where everything is kept; made and initialised when it is empty.
# data_dir = \"/var/lib/muster\"

# The name under which devices reach this server; it is in the server certificate and in every assignment.
# hostname = \"localhost\"

# The address to listen on.
# listen = \"127.0.0.1\"

# HTTPS and MQTT over WebSocket. Device SDKs have 443 built in.
# https_port = 443

# MQTT over TLS. Device SDKs have 8883 built in.
# mqtts_port = 8883

# A listener of its own for /healthz, /readyz and /metrics, in plain HTTP.
# metrics_listen = \"127.0.0.1:9464\"

# Whether /metrics is on the HTTPS port as well, where everybody may read it.
# metrics_on_https_port = true

# PEM file of CAs that are trusted beside the system's when webhooks are called.
# outbound_ca = \"/etc/muster/outbound-ca.pem\"

# Private networks in which every provisioning service may call webhooks and hubs. The first service may call any address;
# others, made with `muster dps create`, only public ones and these.
# outbound_networks = [\"10.1.0.0/16\"]

# Whether the first service may call only those, too.
# outbound_guards_first_service = false

# Connections held at once; one more takes the place of the oldest that has proved nothing.
# max_connections = 100000

# What devices may ask for. Who asks for more is answered 429 with a Retry-After that tells when its turn is.
[limits]

# Connections of one address, a /64 of IPv6. A whole fleet may stand behind one address.
# connections_per_address = 50000

# Of max_connections, those whose client has proved nothing yet; a tenth when it is not set. The others are kept for clients that have.
# unproven_connections = 10000

# Of those, the ones of one address that have been there for longer than 5 s.
# unproven_connections_per_address = 500

# Attempts to register a second of one address from which nobody has registered lately; twenty times as many at once. Each registration
# lets its address ask as often again.
# attempts_per_second_of_an_address = 20

# Registrations a minute of each provisioning service; 0: as many as the server can do. Azure allows 1000.
# registrations_per_minute = 0

# The same for single services, by ID scope.
# registrations_per_minute_of = { 0ne00000000 = 1000 }

# Registrations a minute of one device.
# registrations_per_minute_of_a_device = 60

# Polls of one device in ten seconds; twice as many at once. Azure allows 5.
# polls_per_10_seconds_of_a_device = 5

# Registrations under way at once, at most. The server finds a lower bound by itself, so that those under way take less than a second.
# registrations_at_once = 4096

# How much is kept of the audit: of what operators did, of who was let in and of who was not. The oldest goes first.
[audit]

# Each in MiB.
# acts_mib = 256
# decisions_mib = 1024
# refusals_mib = 256

# Days that a record is kept at most; 0: as long as there is room.
# keep_days = 0

# The list of refusals that `muster dps explain --registration-id` shows.
[refusals]

# Days after which a refusal that has not come again is forgotten.
# keep_days = 30

# How much of what devices send is kept. Each hub has a log of its own; the oldest events go first.
[telemetry]

# MiB of each hub.
# mib_per_hub = 1024

# The same for single hubs, by name.
# mib_of = { hub = 1024 }

# Days that an event is kept at most, and up to a tenth longer; 0: as long as there is room. Azure keeps them for 1 to 7 days.
# keep_days = 0

# The same for single hubs, by name.
# keep_days_of = { hub = 0 }

# KiB a second of a device with its modules, so that one device does not push out what others sent; 16 times as much at once.
# Who sends more is acknowledged later. 0: as many as the server can take.
# kib_per_second_of_a_device = 4096

# The same for all devices of a hub together.
# kib_per_second_of_a_hub = 0

# Server certificates of your own, PEM, with their issuers; any number, read again when they change. Clients that ask for a name in
# one are shown it, all others the one that the server makes itself. `ca` is what clients have to trust, if that is not the last of the chain.
# [[server_certificates]]
# certificate = \"/etc/muster/fullchain.pem\"
# key = \"/etc/muster/privkey.pem\"
# ca = \"/etc/muster/ca.pem\"
";

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
            11 + 1 + 9 + 1 + 4 + 1 + 1 + 1 + 6 + 4
        );
        assert_eq!(file.telemetry.pace(), Pace::default());
        let retention = retention::of(file.audit, file.refusals, file.telemetry);
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
