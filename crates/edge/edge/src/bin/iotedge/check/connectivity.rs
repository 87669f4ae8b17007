//! Checks that open connections: the same handshakes that the daemon makes.

use std::time::Duration;

use device::{Credential, HttpsClient, Trust};
use edge::config::{Source, examine_file};
use hyper::Method;
use ids::HubHost;
use wire::edge_api::local::{DaemonStatus, Provisioning};

use super::result::{Checked, Outcome, error_lines};
use crate::Device;

const SECTION: &str = "Connectivity checks";
const LIMIT: Duration = Duration::from_secs(20);

pub async fn run(device: &Device) -> Vec<Checked> {
    let check = |id, description, outcome| Checked {
        section: SECTION,
        id,
        description,
        outcome,
    };
    let provisioning = dps(device).await;
    let hub = hub(device).await;
    vec![
        check(
            "host-connect-dps-endpoint",
            "this device trusts and reaches the provisioning service",
            provisioning,
        ),
        check(
            "host-connect-iothub-https",
            "this device trusts and reaches its hub over HTTPS",
            hub,
        ),
    ]
}

async fn dps(device: &Device) -> Outcome {
    match examine_file(&device.paths.config(), edge::clock::now()) {
        Err(_) => Outcome::Skipped("config.toml has errors".to_owned()),
        Ok(applied) => match &applied.config.source {
            Source::Dps(dps) => handshake(device, &dps.endpoint).await,
            Source::Manual(_) => {
                Outcome::Skipped("the device is provisioned without a service".to_owned())
            }
        },
    }
}

async fn hub(device: &Device) -> Outcome {
    match device
        .client
        .get::<DaemonStatus>("/muster/status")
        .await
        .map(|status| status.provisioning)
    {
        Ok(Provisioning::Provisioned { hub, .. }) => handshake(device, &hub).await,
        Ok(_) | Err(_) => Outcome::Skipped("the device has no hub yet".to_owned()),
    }
}

/// Any answer means that the server is reached and trusted, and accepts the client certificate.
async fn handshake(device: &Device, host: &HubHost) -> Outcome {
    let Ok(applied) = examine_file(&device.paths.config(), edge::clock::now()) else {
        return Outcome::Skipped("config.toml has errors".to_owned());
    };
    let Some(credential) = applied.examined.credential else {
        return Outcome::Skipped("there is no credential".to_owned());
    };
    let trust = match Trust::native_and(&applied.examined.roots) {
        Ok(trust) => trust,
        Err(error) => return Outcome::Error(error_lines(&error)),
    };
    let client = HttpsClient::new(
        host.clone(),
        &trust,
        &Credential::Certificate(credential.identity),
    );
    match tokio::time::timeout(LIMIT, client.send(Method::GET, "/", None, None)).await {
        Ok(Ok(_)) => Outcome::Ok(Some(host.to_string())),
        Ok(Err(error)) => Outcome::Error(error_lines(&error)),
        Err(_) => Outcome::Error(format!(
            "{host} did not answer within {} s",
            LIMIT.as_secs()
        )),
    }
}
