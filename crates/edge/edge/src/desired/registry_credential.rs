//! The registry credential of a deployment that belongs to an image.

use wire::edge_api::manifest::{AgentDesired, RegistryCredential};

/// Docker Hub in the name of an image.
const DOCKER_HUB: &str = "docker.io";
/// Docker Hub in the address of a credential.
const DOCKER_HUBS: [&str; 5] = [
    DOCKER_HUB,
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
];

/// The credential for the registry of an image, with its name in the deployment.
pub(crate) fn find<'a>(
    manifest: &'a AgentDesired,
    image: &str,
) -> Option<(&'a String, &'a RegistryCredential)> {
    let registry = registry_of(image);
    manifest
        .registry_credentials
        .iter()
        .find(|(_, credential)| registry_at(&credential.address) == registry)
}

/// The registry of an image: the part before the first slash if it can be a host, else Docker Hub.
pub(crate) fn registry_of(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => {
            registry_at(first)
        }
        _ => DOCKER_HUB.to_owned(),
    }
}

/// The registry at an address. People write a host or a URL, and several addresses for Docker Hub.
pub(crate) fn registry_at(address: &str) -> String {
    let address = address.trim().to_ascii_lowercase();
    let bare = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(&address);
    let host = bare.split('/').next().unwrap_or_default();
    let host = host.strip_suffix(":443").unwrap_or(host);
    if DOCKER_HUBS.contains(&host) {
        return DOCKER_HUB.to_owned();
    }
    host.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn desired(addresses: &[(&str, &str)]) -> AgentDesired {
        let credentials: serde_json::Map<_, _> = addresses
            .iter()
            .map(|(name, address)| {
                let credential =
                    json!({"address": address, "username": "u", "password": "hunter2"});
                ((*name).to_owned(), credential)
            })
            .collect();
        let manifest = json!({"schemaVersion": "1.1", "modules": {},
            "runtime": {"type": "docker", "settings": {"registryCredentials": credentials}}});
        AgentDesired::parse(&manifest).unwrap()
    }

    fn fits(address: &str, image: &str) -> bool {
        find(&desired(&[("c", address)]), image).is_some()
    }

    #[test]
    fn credentials_go_only_to_their_registry() {
        assert!(fits("reg.example", "reg.example/a/b:1"));
        assert!(fits("https://reg.example:5000/", "reg.example:5000/a"));
        assert!(fits("REG.example:443/v2/", "reg.example/a"));
        assert!(fits("localhost:5000", "localhost:5000/a"));
        assert!(!fits("reg.example", "evil.example/reg.example/a"));
        assert!(!fits("reg.example", "alpine"));
        assert!(!fits("reg.example", "reg.example:5000/a"));
        assert!(!fits("docker.io.evil.example", "alpine"));
        assert!(!fits("", "alpine"));
    }

    /// The addresses that `docker login`, Docker's pages and `docker info` show.
    #[test]
    fn docker_hub_has_one_name() {
        for address in [
            "docker.io",
            "https://index.docker.io/v1/",
            "https://index.docker.io/v2/",
            "index.docker.io",
            "registry-1.docker.io",
            "https://registry-1.docker.io",
            "https://registry.hub.docker.com/v2",
            "HTTPS://Docker.IO/",
        ] {
            for image in [
                "alpine",
                "library/alpine:3",
                "docker.io/u/x",
                "index.docker.io/u/x",
            ] {
                assert!(fits(address, image), "{address} {image}");
            }
            assert!(!fits(address, "reg.example/x"), "{address}");
        }
    }
}
