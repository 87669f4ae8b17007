//! What a device has at its previous hub and takes along.

use ids::Identity;
use provisioning::{LinkedHub, LocatedDevice, MovedData};
use registry::{IdentityRecord, InitialTwin, TwinError, TwinRecord};
use serde_json::{Map, Value};
use wire::service_api::remote_hub::RemoteTwin;

use super::Fault;
use crate::pending::resume::Attempt;
use crate::remote_hub::client::RemoteHub;
use crate::remote_hub::fault::RemoteFault;

/// `None` when the device is gone.
pub async fn read(
    attempt: &Attempt<'_>,
    located: &LocatedDevice,
) -> Result<Option<MovedData>, Fault> {
    let Some(remote) = RemoteHub::for_link(attempt.dps, &located.hub) else {
        return read_local(attempt, &located.hub, located).await;
    };
    let Some(device) = remote.device(&located.device_id).await? else {
        return Ok(None);
    };
    let Some(RemoteTwin {
        tags,
        desired,
        reported,
    }) = remote.twin(&located.device_id).await?
    else {
        return Ok(None);
    };
    Ok(Some(MovedData {
        status: device.status,
        status_reason: device.status_reason,
        iot_edge: device.iot_edge,
        twin: twin_of(&located.hub, &tags, &desired)?,
        reported,
        read_at: None,
    }))
}

async fn read_local(
    attempt: &Attempt<'_>,
    hub: &LinkedHub,
    located: &LocatedDevice,
) -> Result<Option<MovedData>, Fault> {
    let identity = Identity::device(hub.name.clone(), located.device_id.clone());
    let found = attempt.provisioning().registry().twin(&identity).await;
    let (twin, device) = match found {
        Ok(TwinRecord {
            twin,
            identity: IdentityRecord::Device(device),
        }) => (twin, device),
        Err(TwinError::Storage(error)) => return Err(error.into()),
        Ok(_) | Err(_) => return Ok(None),
    };
    Ok(Some(MovedData {
        status: device.status,
        status_reason: device.status_reason,
        iot_edge: device.iot_edge,
        twin: twin_of(hub, &twin.tags, &twin.desired.document)?,
        reported: twin.reported.document,
        read_at: Some(twin.etag),
    }))
}

/// The twin at the previous hub, if it is within the limits of twins.
fn twin_of(
    hub: &LinkedHub,
    tags: &Map<String, Value>,
    desired: &Map<String, Value>,
) -> Result<InitialTwin, Fault> {
    let unreadable = |error: TwinError| RemoteFault::Unreadable {
        hub: hub.name.clone(),
        problem: format!("the device's twin is not valid: {error}"),
    };
    Ok(InitialTwin::new(tags, desired).map_err(unreadable)?)
}
