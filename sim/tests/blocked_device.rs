//! A device that is blocked is out everywhere, also where it is in already, and comes back when the
//! block is taken back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use device::{Assignment, Credential, Event, Hub, HubError, HubOptions, Provisioning, Trust};
use ids::{HubHost, IdScope, RegistrationId};
use pki::Certificate;
use reqwest::Method;
use serde_json::json;
use sim::{Identity, Server, Workshop};

/// An open session of a blocked device ends within this time after the operator's answer.
const BOUND: Duration = Duration::from_secs(1);

/// A device as its own program knows it.
struct Device {
    provisioning: Provisioning,
    credential: Credential,
}

impl Device {
    fn new(server: &Server, identity: &Identity) -> Result<Self> {
        let key = std::fs::read_to_string(&identity.key)?;
        let chain = std::fs::read_to_string(&identity.full_chain)?;
        let ca = Certificate::parse_pem_bundle(&std::fs::read_to_string(server.ca()?)?)?;
        let identity_of = device::Identity::from_pem(&chain, &key)?;
        let credential = Credential::Certificate(identity_of);
        Ok(Self {
            credential: credential.clone(),
            provisioning: Provisioning {
                endpoint: HubHost::parse(&server.host())?,
                id_scope: IdScope::parse(&server.id_scope()?)?,
                registration_id: RegistrationId::parse(&identity.name)?,
                payload: None,
                attestation: credential.into(),
                trust: Trust::only(&ca)?,
                request: None,
                within: Duration::from_secs(30),
            },
        })
    }

    async fn provision(&self) -> Result<Assignment, device::ProvisionError> {
        device::provision(&self.provisioning).await
    }

    async fn connect(&self, place: &Assignment) -> Result<(Hub, device::Events), HubError> {
        let options = HubOptions {
            hub: place.hub.clone(),
            gateway: None,
            device: place.device.clone(),
            module: None,
            credential: self.credential.clone(),
            trust: self.provisioning.trust.clone(),
            keep_alive: 240,
            client_type: "story".to_owned(),
        };
        Hub::connect(&options).await
    }
}

#[tokio::test]
async fn a_blocked_device_loses_its_session_within_a_second_and_comes_back_when_unblocked()
-> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = Device::new(&server, &workshop.issue("press-1")?)?;
    let neighbour = Device::new(&server, &workshop.issue("press-2")?)?;
    let place = device.provision().await?;
    let (hub, mut events) = device.connect(&place).await?;
    hub.get_twin().await?;
    let (neighbours_hub, _events) = neighbour.connect(&neighbour.provision().await?).await?;

    let path = "/muster/v1/dps/blocks/press-1";
    let reason = json!({"reason": "stolen"});
    let blocked = server.operate(Method::PUT, path, Some(&reason)).await?;
    let answered = Instant::now();
    assert_eq!(blocked["deviceId"], "press-1");
    let end = tokio::time::timeout(BOUND, async {
        loop {
            if let Some(Event::Disconnected(_)) | None = events.next().await {
                return answered.elapsed();
            }
        }
    });
    let took = end.await.context("the session outlived its block")?;
    assert!(took < BOUND, "{took:?}");
    neighbours_hub.get_twin().await?;

    match device.provision().await {
        Err(device::ProvisionError::Refused {
            status: 401, code, ..
        }) => assert_eq!(code, 401_002),
        other => bail!("the registration of a blocked device: {other:?}"),
    }
    let explained = server
        .muster("dps explain --registration-id press-1")
        .await?;
    assert_eq!(explained[0]["reason"], "device_blocked", "{explained}");
    let metrics = server.metrics().await?;
    let counted = r#"muster_dps_refusals_total{reason="device_blocked"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    match device.connect(&place).await {
        Err(HubError::Refused { .. }) => {}
        Err(other) => bail!("another refusal than the hub's own: {other}"),
        Ok(_) => bail!("the hub let a blocked device in"),
    }

    server
        .muster("dps unblock --device-id press-1 --hub-name hub")
        .await?;
    let place = device.provision().await?;
    let (hub, _events) = device.connect(&place).await?;
    hub.get_twin().await?;
    Ok(())
}
