//! Having an image on the device: pulled whenever a container is created, with the credential of its registry.
//!
//! `on-create` asks the registry each time, as Azure's agent does, so that an image that was pushed again under its tag is
//! found. An image that cannot be pulled is no reason to stand still when it is on the device.

use std::time::Duration;

use wire::edge_api::manifest::{AgentDesired, RegistryCredential};

use crate::causes::chain_of;
use crate::runtime::{ModuleRuntime, RuntimeError};

/// How long nothing may come of an image that is needed.
const NEEDED: Duration = Duration::from_secs(300);
/// The same when an older one is on the device.
const HERE: Duration = Duration::from_secs(30);
/// The name of Docker Hub in images.
const DOCKER_HUB: &str = "docker.io";
/// Its names in addresses.
const DOCKER_HUBS: [&str; 5] = [
    DOCKER_HUB,
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
];

/// Pulls an image. When only that fails, the one on the device serves, and the answer says so.
pub(super) async fn fetch<R: ModuleRuntime>(
    runtime: &R,
    image: &str,
    desired: &AgentDesired,
) -> Result<Option<String>, RuntimeError> {
    let here = runtime.has_image(image).await?;
    if here && image.contains('@') {
        // A digest names one image for ever.
        return Ok(None);
    }
    let credential = credential_for(desired, image);
    let patience = if here { HERE } else { NEEDED };
    let pulled = runtime
        .pull(
            image,
            credential.map(|(_, credential)| credential),
            patience,
        )
        .await;
    match pulled {
        Ok(()) => Ok(None),
        Err(lost @ RuntimeError::Unreachable { .. }) => Err(lost),
        Err(error) if here => Ok(Some(format!(
            "the image {image} could not be pulled, and the one on this device is used: {}",
            chain_of(&error)
        ))),
        Err(RuntimeError::Refused { what, message }) => {
            let asked = how_asked(desired, image, credential.map(|(name, _)| name));
            Err(RuntimeError::Refused {
                what,
                message: format!("{message} ({asked})"),
            })
        }
        Err(other) => Err(other),
    }
}

/// Whoever reads that a registry refuses wants to know which credential it was shown.
fn how_asked(desired: &AgentDesired, image: &str, name: Option<&String>) -> String {
    let registry = registry_of(image);
    let given: Vec<String> = desired
        .registry_credentials
        .iter()
        .map(|(name, credential)| format!("{name} for {}", registry_at(&credential.address)))
        .collect();
    match name {
        Some(name) => format!("asked {registry} with the registry credential {name}"),
        None if given.is_empty() => {
            format!("asked {registry} without a credential: the deployment has none")
        }
        None => format!(
            "asked {registry} without a credential: none of the deployment fits ({})",
            given.join(", ")
        ),
    }
}

/// Name and content of the credential for the image's registry.
pub(super) fn credential_for<'a>(
    desired: &'a AgentDesired,
    image: &str,
) -> Option<(&'a String, &'a RegistryCredential)> {
    let registry = registry_of(image);
    desired
        .registry_credentials
        .iter()
        .find(|(_, credential)| registry_at(&credential.address) == registry)
}

/// The registry of an image: what stands before the first slash, if that can be a host.
fn registry_of(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => {
            registry_at(first)
        }
        _ => DOCKER_HUB.to_owned(),
    }
}

/// The registry at an address, which people write as a host, as a URL, and of Docker Hub in several ways.
fn registry_at(address: &str) -> String {
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
    use crate::runtime::FakeRuntime;

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

    fn serves(address: &str, image: &str) -> bool {
        credential_for(&desired(&[("c", address)]), image).is_some()
    }

    #[test]
    fn credentials_go_only_to_their_registry() {
        assert!(serves("reg.example", "reg.example/a/b:1"));
        assert!(serves("https://reg.example:5000/", "reg.example:5000/a"));
        assert!(serves("REG.example:443/v2/", "reg.example/a"));
        assert!(serves("localhost:5000", "localhost:5000/a"));
        assert!(!serves("reg.example", "evil.example/reg.example/a"));
        assert!(!serves("reg.example", "alpine"));
        assert!(!serves("reg.example", "reg.example:5000/a"));
        assert!(!serves("docker.io.evil.example", "alpine"));
        assert!(!serves("", "alpine"));
    }

    /// D9: as people find Docker Hub's address in `docker login`, in its pages, and in `docker info`.
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
                assert!(serves(address, image), "{address} {image}");
            }
            assert!(!serves(address, "reg.example/x"), "{address}");
        }
    }

    /// D9: a refused pull says which credential was shown, and never its password.
    #[tokio::test]
    async fn a_refused_pull_tells_how_it_was_asked() {
        let runtime = FakeRuntime::new([], crate::clock::now);
        let refused = async |desired: AgentDesired| {
            let error = fetch(&runtime, "reg.example/x:1", &desired)
                .await
                .unwrap_err();
            chain_of(&error)
        };
        let none = refused(desired(&[])).await;
        assert!(
            none.contains("asked reg.example without a credential: the deployment has none"),
            "{none}"
        );
        let other = refused(desired(&[("hub", "https://index.docker.io/v1/")])).await;
        assert!(
            other.contains("none of the deployment fits (hub for docker.io)"),
            "{other}"
        );
        let fitting = refused(desired(&[("mine", "reg.example")])).await;
        assert!(
            fitting.contains("with the registry credential mine"),
            "{fitting}"
        );
        assert!(!fitting.contains("hunter2"), "{fitting}");
    }

    /// D17: `on-create` asks the registry although the image is here, and goes on with what is here when it cannot.
    #[tokio::test]
    async fn an_image_is_asked_for_again() {
        let image = "reg.example/x:1";
        let runtime = FakeRuntime::new([image.to_owned()], crate::clock::now);
        assert_eq!(fetch(&runtime, image, &desired(&[])).await.unwrap(), None);
        assert_eq!(fetch(&runtime, image, &desired(&[])).await.unwrap(), None);
        assert_eq!(runtime.pulls(image), 2);
        runtime.unpublish(image);
        let remark = fetch(&runtime, image, &desired(&[]))
            .await
            .unwrap()
            .unwrap();
        assert!(
            remark.contains("the one on this device is used"),
            "{remark}"
        );

        let pinned = "reg.example/x@sha256:ab";
        let runtime = FakeRuntime::new([pinned.to_owned()], crate::clock::now);
        for _ in 0..2 {
            assert_eq!(fetch(&runtime, pinned, &desired(&[])).await.unwrap(), None);
        }
        assert_eq!(runtime.pulls(pinned), 1);
    }
}
