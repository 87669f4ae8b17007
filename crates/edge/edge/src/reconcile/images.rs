//! Pulls the image of a module before its container is created.
//!
//! `on-create` asks the registry each time, as Azure's agent does, so that an image that was pushed
//! again under the same tag is found. When the pull fails, an image on the device is used.

use std::time::Duration;

use ids::error_chain;
use wire::edge_api::manifest::AgentDesired;

use crate::desired::registry_credential::{find, registry_at, registry_of};
use crate::runtime::{ModuleRuntime, PullProgress, RuntimeError};

/// The longest silence of a pull when no image is on the device.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest silence of a pull when an older image is on the device.
const SHORT_PATIENCE: Duration = Duration::from_secs(30);

/// Pulls an image. When the pull fails and the image is on the device, that one is used, and the
/// answer is a warning.
pub(super) async fn fetch<R: ModuleRuntime>(
    runtime: &R,
    image: &str,
    manifest: &AgentDesired,
    progress: &PullProgress,
) -> Result<Option<String>, RuntimeError> {
    let here = runtime.has_image(image).await?;
    if here && image.contains('@') {
        // A digest always names the same image.
        return Ok(None);
    }
    let credential = find(manifest, image);
    let patience = if here { SHORT_PATIENCE } else { PATIENCE };
    let pulled = runtime
        .pull(
            image,
            credential.map(|(_, credential)| credential),
            patience,
            progress,
        )
        .await;
    match pulled {
        Ok(()) => Ok(None),
        Err(lost @ RuntimeError::Unreachable { .. }) => Err(lost),
        Err(error) if here => Ok(Some(format!(
            "the image {image} could not be pulled, and the one on this device is used: {}",
            error_chain(&error)
        ))),
        Err(RuntimeError::Refused { what, message }) => {
            let asked = credential_sent(manifest, image, credential.map(|(name, _)| name));
            Err(RuntimeError::Refused {
                what,
                message: format!("{message} ({asked})"),
            })
        }
        Err(other) => Err(other),
    }
}

/// Which credential was sent to the registry: a person who reads a refusal wants to know.
fn credential_sent(manifest: &AgentDesired, image: &str, name: Option<&String>) -> String {
    let registry = registry_of(image);
    let given: Vec<String> = manifest
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

    /// The message must not hold the password.
    #[tokio::test]
    async fn a_refused_pull_names_the_credential_that_was_sent() {
        let runtime = FakeRuntime::new([], crate::clock::now);
        let refused = async |desired: AgentDesired| {
            let error = fetch(
                &runtime,
                "reg.example/x:1",
                &desired,
                &PullProgress::default(),
            )
            .await
            .unwrap_err();
            error_chain(&error)
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

    async fn pull(runtime: &FakeRuntime, image: &str) -> Result<Option<String>, RuntimeError> {
        fetch(runtime, image, &desired(&[]), &PullProgress::default()).await
    }

    #[tokio::test]
    async fn an_image_on_the_device_is_pulled_again() {
        let image = "reg.example/x:1";
        let runtime = FakeRuntime::new([image.to_owned()], crate::clock::now);
        assert_eq!(pull(&runtime, image).await.unwrap(), None);
        assert_eq!(pull(&runtime, image).await.unwrap(), None);
        assert_eq!(runtime.pulls(image), 2);
        runtime.unpublish(image);
        let warning = pull(&runtime, image).await.unwrap().unwrap();
        assert!(
            warning.contains("the one on this device is used"),
            "{warning}"
        );

        let pinned = "reg.example/x@sha256:ab";
        let runtime = FakeRuntime::new([pinned.to_owned()], crate::clock::now);
        for _ in 0..2 {
            assert_eq!(pull(&runtime, pinned).await.unwrap(), None);
        }
        assert_eq!(runtime.pulls(pinned), 1);
    }
}
