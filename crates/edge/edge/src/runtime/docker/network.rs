//! The network of the modules.

use bollard::errors::Error;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};

use super::{Docker, DockerOptions};
use crate::config::Network;
use crate::desired::container::{OWNER, OWNER_LABEL, ROOT_LABEL};
use crate::runtime::RuntimeError;

impl Docker {
    /// Makes the network if it does not exist. One that exists stays as it is, because containers
    /// may be in it.
    pub(super) async fn prepare_network(&self) -> Result<(), RuntimeError> {
        let client = self.client().await?;
        let name = &self.options.network.name;
        match client.inspect_network(name, None).await {
            Ok(found) => {
                if let Some(difference) = difference(&found, &self.options.network) {
                    tracing::warn!(
                        network = %name,
                        "the network exists with {difference} than [moby_runtime.network] says; \
                         remove it when no container is in it, and it is made anew"
                    );
                }
                return Ok(());
            }
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(error) => return Err(self.failed(format!("look for the network {name}"), error)),
        }
        let created = client.create_network(request(&self.options)).await;
        created
            .map(drop)
            .map_err(|error| self.failed(format!("create the network {name}"), error))
    }
}

fn request(options: &DockerOptions) -> NetworkCreateRequest {
    let network = &options.network;
    let labels = [
        (OWNER_LABEL, OWNER.to_owned()),
        (ROOT_LABEL, options.root.display().to_string()),
    ];
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: network.ipv6.then_some(true),
        ipam: (!network.ranges.is_empty()).then(|| Ipam {
            config: Some(address_ranges(network)),
            ..Ipam::default()
        }),
        labels: Some(
            labels
                .into_iter()
                .map(|(label, value)| (label.to_owned(), value))
                .collect(),
        ),
        ..Default::default()
    }
}

fn address_ranges(network: &Network) -> Vec<IpamConfig> {
    let ranges = network.ranges.iter().map(|range| IpamConfig {
        subnet: range.subnet.clone(),
        ip_range: range.part.clone(),
        gateway: range.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: None,
    });
    ranges.collect()
}

/// What an existing network has that the configuration wants otherwise.
fn difference(found: &NetworkInspect, wanted: &Network) -> Option<&'static str> {
    if wanted.ipv6 && found.enable_ipv6 != Some(true) {
        return Some("another setting of ipv6");
    }
    let subnets = |ranges: &[IpamConfig]| {
        let mut subnets: Vec<String> = ranges
            .iter()
            .filter_map(|range| range.subnet.clone())
            .collect();
        subnets.sort();
        subnets
    };
    let has = found.ipam.as_ref().and_then(|ipam| ipam.config.as_deref());
    let has = subnets(has.unwrap_or_default());
    let wants = subnets(&address_ranges(wanted));
    (!wants.is_empty() && wants != has).then_some("other subnets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AddressRange;

    fn wanted() -> Network {
        Network {
            name: "n".to_owned(),
            ipv6: true,
            ranges: vec![AddressRange {
                gateway: Some([172, 18, 0, 1].into()),
                subnet: Some("172.18.0.0/16".to_owned()),
                part: Some("172.18.1.0/24".to_owned()),
            }],
        }
    }

    #[test]
    fn a_network_is_made_with_its_addresses() {
        let options = |network| DockerOptions {
            socket: "/d".into(),
            root: "/".into(),
            network,
        };
        let made = serde_json::to_value(request(&options(wanted()))).unwrap();
        assert_eq!(made["EnableIPv6"], true);
        assert_eq!(
            made["IPAM"]["Config"],
            serde_json::json!([{"Subnet": "172.18.0.0/16", "IPRange": "172.18.1.0/24",
                "Gateway": "172.18.0.1"}])
        );
        let plain = serde_json::to_value(request(&options(Network::default()))).unwrap();
        assert!(plain.get("IPAM").is_none() && plain.get("EnableIPv6").is_none());
    }

    #[test]
    fn an_existing_network_with_other_settings_is_noticed() {
        let found = |ipv6, subnet: &str| NetworkInspect {
            enable_ipv6: Some(ipv6),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_owned()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkInspect::default()
        };
        assert_eq!(difference(&found(true, "172.18.0.0/16"), &wanted()), None);
        assert!(difference(&found(false, "172.18.0.0/16"), &wanted()).is_some());
        assert!(difference(&found(true, "172.19.0.0/16"), &wanted()).is_some());
        let any = Network::default();
        assert_eq!(difference(&found(true, "172.19.0.0/16"), &any), None);
    }
}
