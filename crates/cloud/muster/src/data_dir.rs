//! The services of a data directory, read from the directory itself, while the server runs or not.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ids::HubHost;
use provisioning::{LinkedHub, Provisioning, ProvisioningService};
use registry::{LocalHub, SharedAccessPolicy};
use serde::{Deserialize, Serialize};
use wire::service_api::enrollment::AllocationPolicy;
use wire::service_api::identity::KeyText;

/// The file to which a server writes its addresses.
const ENDPOINTS: &str = "endpoints.json";

/// What `muster show` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The ID scope of the first provisioning service.
    pub id_scope: String,
    /// PEM file with the CA certificates that clients of the server have to trust.
    pub server_ca: PathBuf,
    /// The addresses of the server, or those of its last run.
    pub endpoints: Endpoints,
    /// The first provisioning service.
    pub dps: ServiceEntry,
    /// The hubs of this server, linked or not.
    pub hubs: Vec<HubEntry>,
    /// All provisioning services, the first one first.
    pub services: Vec<TenantEntry>,
}

/// URLs of the ports. `null` where a port is not offered, and before the first run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Endpoints {
    pub https: Option<String>,
    pub mqtts: Option<String>,
    pub amqps: Option<String>,
    /// Where issuers publish in plain HTTP.
    #[serde(rename = "pkiHttp", default, skip_serializing_if = "Option::is_none")]
    pub pki_http: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntry {
    pub hostname: String,
    pub connection_string: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantEntry {
    pub name: String,
    pub id_scope: String,
    pub hostname: String,
    pub connection_string: String,
    pub allocation_policy: AllocationPolicy,
    pub linked_hubs: Vec<LinkEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkEntry {
    pub name: String,
    pub hostname: String,
    pub allocation_weight: u16,
    pub apply_allocation_policy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HubEntry {
    pub name: String,
    pub hostname: String,
    pub connection_string: String,
    /// The connection strings of its policies, `iothubowner` first.
    #[serde(skip)]
    pub policies: Vec<PolicyEntry>,
}

/// A shared access policy with the connection strings of its two keys.
pub struct PolicyEntry {
    pub name: String,
    pub primary: String,
    pub secondary: String,
}

/// Reads the services and hubs of a data directory.
pub fn describe(data_dir: &Path) -> anyhow::Result<Description> {
    let described = Provisioning::describe(data_dir).with_context(|| {
        format!(
            "{} is not a data directory of `muster serve`",
            data_dir.display()
        )
    })?;
    let first = described.local.hubs.first();
    let host = &first.context("the data directory has no hub")?.host;
    let service = described.services.first();
    let service = service.context("the data directory has no service")?;
    Ok(Description {
        id_scope: service.id_scope.to_string(),
        server_ca: std::path::absolute(ca::ServerCa::trust_path(data_dir))
            .context("the path of the server's CA")?,
        endpoints: read_endpoints(data_dir)?,
        dps: dps_entry(service, host)?,
        hubs: described
            .local
            .hubs
            .iter()
            .map(|hub| hub_entry(hub))
            .collect::<anyhow::Result<_>>()?,
        services: described
            .services
            .iter()
            .map(|service| tenant_entry(service, host))
            .collect::<anyhow::Result<_>>()?,
    })
}

fn tenant_entry(service: &ProvisioningService, server: &HubHost) -> anyhow::Result<TenantEntry> {
    let ServiceEntry {
        hostname,
        connection_string,
    } = dps_entry(service, service.host.as_ref().unwrap_or(server))?;
    let link = |hub: &LinkedHub| LinkEntry {
        name: hub.name.to_string(),
        hostname: hub.host.to_string(),
        allocation_weight: hub.allocation_weight.unwrap_or(1),
        apply_allocation_policy: hub.apply_allocation_policy,
    };
    Ok(TenantEntry {
        name: service.name.to_string(),
        id_scope: service.id_scope.to_string(),
        hostname,
        connection_string,
        allocation_policy: service.allocation_policy,
        linked_hubs: service.hubs.iter().map(link).collect(),
    })
}

fn dps_entry(service: &ProvisioningService, host: &HubHost) -> anyhow::Result<ServiceEntry> {
    let owner = owner(&service.policies, "provisioningserviceowner")?;
    Ok(ServiceEntry {
        hostname: host.to_string(),
        connection_string: connection_string(host, &owner.name, &owner.primary),
    })
}

fn hub_entry(hub: &LocalHub) -> anyhow::Result<HubEntry> {
    let owner = owner(&hub.policies, "iothubowner")?;
    let entry = |policy: &SharedAccessPolicy| PolicyEntry {
        name: policy.name.clone(),
        primary: connection_string(&hub.host, &policy.name, &policy.primary),
        secondary: connection_string(&hub.host, &policy.name, &policy.secondary),
    };
    let others = hub
        .policies
        .iter()
        .filter(|policy| policy.name != owner.name);
    Ok(HubEntry {
        name: hub.name.to_string(),
        hostname: hub.host.to_string(),
        connection_string: connection_string(&hub.host, &owner.name, &owner.primary),
        policies: std::iter::once(owner).chain(others).map(entry).collect(),
    })
}

fn owner<'a>(
    policies: &'a [SharedAccessPolicy],
    name: &str,
) -> anyhow::Result<&'a SharedAccessPolicy> {
    policies
        .iter()
        .find(|policy| policy.name == name)
        .with_context(|| format!("policy {name} is missing"))
}

fn connection_string(host: &HubHost, policy: &str, key: &KeyText) -> String {
    let key = key.reveal();
    format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}")
}

fn read_endpoints(data_dir: &Path) -> anyhow::Result<Endpoints> {
    let path = data_dir.join(ENDPOINTS);
    match std::fs::read(&path) {
        Ok(json) => {
            serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Endpoints::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes the addresses for [`describe`]. After a crash the file is the old one or the new one.
pub fn write_endpoints(data_dir: &Path, endpoints: &Endpoints) -> anyhow::Result<()> {
    let path = data_dir.join(ENDPOINTS);
    let draft = data_dir.join("endpoints.json.new");
    let json = serde_json::to_vec_pretty(endpoints).context("the endpoints")?;
    std::fs::write(&draft, json).with_context(|| format!("cannot write {}", draft.display()))?;
    std::fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))
}
