use std::path::{Path, PathBuf};

use anyhow::Context;
use wire::connection_string::ConnectionString;

use super::{CommandError, Login, Service, ServiceClient};
use crate::data_dir;

/// Where a command finds its service.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Target {
    /// The data directory of a server on this machine; supplies its connection string and its CA.
    #[arg(long, global = true, value_name = "DIR", env = "MUSTER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Which provisioning service of the data directory [default: the first one].
    #[arg(long, global = true, value_name = "NAME")]
    pub dps_name: Option<String>,
    /// Which hub of the data directory [default: the first one].
    #[arg(long, global = true, value_name = "NAME")]
    pub hub_name: Option<String>,
    /// A connection string: HostName=…;SharedAccessKeyName=…;SharedAccessKey=…
    #[arg(
        long,
        short = 'l',
        global = true,
        value_name = "STRING",
        hide_env_values = true
    )]
    pub login: Option<Login>,
    /// PEM file with the CA of the server, when it is not in the system's store.
    #[arg(long, global = true, value_name = "FILE", env = "MUSTER_SERVER_CA")]
    pub server_ca: Option<PathBuf>,
}

impl Target {
    /// Finds the connection string and makes a client for `service`.
    pub fn connect(&self, service: Service) -> anyhow::Result<ServiceClient> {
        let (text, ca) = self.find(service)?;
        let connection = ConnectionString::parse(&text)
            .map_err(|error| CommandError::Usage(error.to_string()))?;
        let ca = self.server_ca.as_ref().or(ca.as_ref());
        ServiceClient::new(service, connection, ca.map(PathBuf::as_path))
    }

    /// The connection string with which a command opens `service`.
    pub fn connection_string(&self, service: Service) -> anyhow::Result<String> {
        Ok(self.find(service)?.0)
    }

    /// The hub of the data directory that commands open. `None` when a connection string decides.
    pub fn local_hub(&self) -> anyhow::Result<Option<data_dir::HubEntry>> {
        let Some(data_dir) = self.directory(Service::Hub) else {
            return Ok(None);
        };
        let named = self.hub_name.as_deref();
        let is_it =
            |hub: &data_dir::HubEntry| named.is_none_or(|name| hub.name.eq_ignore_ascii_case(name));
        let hubs = data_dir::describe(data_dir)?.hubs;
        let known: Vec<&str> = hubs.iter().map(|hub| hub.name.as_str()).collect();
        let unknown = format!(
            "{} has no hub {}; it has {}",
            data_dir.display(),
            named.unwrap_or_default(),
            known.join(", ")
        );
        let found = hubs.into_iter().find(is_it);
        Ok(Some(found.ok_or(CommandError::Usage(unknown))?))
    }

    /// The connection string of a hub of the data directory, when the command goes to that server
    /// and it has such a hub. Never for another server: the string holds a key.
    pub fn opens_hub(&self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(data_dir) = self.directory(Service::Provisioning) else {
            return Ok(None);
        };
        let hubs = data_dir::describe(data_dir)?.hubs.into_iter();
        let mut named = hubs.filter(|hub| hub.name == name);
        Ok(named.next().map(|hub| hub.connection_string))
    }

    fn name(&self, service: Service) -> (&'static str, Option<&str>) {
        match service {
            Service::Provisioning => ("--dps-name", self.dps_name.as_deref()),
            Service::Hub => ("--hub-name", self.hub_name.as_deref()),
        }
    }

    /// The data directory, when it decides. A connection string goes before it, and a name that is
    /// given to this command goes before a variable that is set for all commands.
    fn directory(&self, service: Service) -> Option<&Path> {
        let (_, name) = self.name(service);
        let is_named = name.is_some();
        let other_server = self.login.is_some()
            || (!is_named && crate::environment::variable(service.variable()).is_some());
        self.data_dir.as_deref().filter(|_| !other_server)
    }

    fn find(&self, service: Service) -> anyhow::Result<(String, Option<PathBuf>)> {
        let (flag, name) = self.name(service);
        if let Some(data_dir) = self.directory(service) {
            return local_string(data_dir, service, name);
        }
        let variable = || crate::environment::variable(service.variable());
        let text = self.login.as_ref().map(|login| login.reveal().to_owned());
        let problem = match (text.or_else(variable), name) {
            (Some(text), None) => return Ok((text, None)),
            (_, Some(_)) => format!(
                "{flag} chooses within --data-dir; a connection string says itself what it opens"
            ),
            (None, None) => format!(
                "which service? Give --data-dir DIR for a server on this machine, \
                 --login STRING, or set {}",
                service.variable()
            ),
        };
        Err(CommandError::Usage(problem).into())
    }
}

fn local_string(
    data_dir: &Path,
    service: Service,
    name: Option<&str>,
) -> anyhow::Result<(String, Option<PathBuf>)> {
    let local = data_dir::describe(data_dir)?;
    let (what, strings): (_, Vec<(String, String)>) = match service {
        Service::Provisioning => (
            "provisioning service",
            local
                .services
                .into_iter()
                .map(|service| (service.name, service.connection_string))
                .collect(),
        ),
        Service::Hub => (
            "hub",
            local
                .hubs
                .into_iter()
                .map(|hub| (hub.name, hub.connection_string))
                .collect(),
        ),
    };
    let is_it = |known: &str| name.is_none_or(|name| known.eq_ignore_ascii_case(name));
    let known: Vec<&str> = strings.iter().map(|(name, _)| name.as_str()).collect();
    let unknown = format!(
        "{} has no {what} {}; it has {}",
        data_dir.display(),
        name.unwrap_or_default(),
        known.join(", ")
    );
    let found = strings.into_iter().find(|(known, _)| is_it(known));
    let (_, text) = found.context(CommandError::Usage(unknown))?;
    Ok((text, Some(local.server_ca)))
}
