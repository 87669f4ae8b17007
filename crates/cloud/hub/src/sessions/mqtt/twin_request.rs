//! Requests of a device about its own twin.

use ids::Identity;
use mqtt::QoS;
use registry::TwinError;
use transport::Outgoing;
use uuid::Uuid;
use wire::error::{HubErrorCode, ServiceError};
use wire::lenient::BodyError;
use wire::topic::HubTopic;

use crate::quantities::{Quantity, Throttled};
use crate::service::Hub;
use crate::{error, twin_view};

pub(super) struct ReportedPatch<'a> {
    pub(super) rid: String,
    /// The version of the reported section that the patch is for.
    pub(super) expected: Option<u64>,
    pub(super) body: &'a [u8],
}

pub(super) async fn get(hub: &Hub, identity: &Identity, rid: String) -> Outgoing {
    let counted = hub.count((&identity.hub, Some(identity)), (Quantity::TwinReads, 1));
    if let Err(throttled) = counted {
        return failed(hub, identity, rid, &throttled.into());
    }
    match hub.registry().twin(identity).await {
        Ok(record) => {
            let payload = twin_view::device_twin(record).to_string();
            respond((200, None), rid, payload)
        }
        Err(error) => failed(hub, identity, rid, &TwinRequestError::Twin(error)),
    }
}

pub(super) async fn patch(hub: &Hub, identity: &Identity, patch: ReportedPatch<'_>) -> Outgoing {
    let ReportedPatch {
        rid,
        expected,
        body,
    } = patch;
    let patched = async {
        hub.count((&identity.hub, Some(identity)), (Quantity::TwinUpdates, 1))?;
        let patch = wire::twin::parse_reported(body)?;
        let (registry, now) = (hub.registry(), hub.now());
        let patched = registry.patch_reported(identity, patch, expected, now);
        Ok::<_, TwinRequestError>(patched.await?)
    };
    match patched.await {
        Ok(version) => respond((204, Some(version)), rid, String::new()),
        Err(error) => failed(hub, identity, rid, &error),
    }
}

fn failed(hub: &Hub, identity: &Identity, rid: String, error: &TwinRequestError) -> Outgoing {
    let (code, message) = error.outside();
    let tracking = Uuid::new_v4().to_string();
    tracing::info!(
        hub.name = %identity.hub,
        device.id = %identity.device,
        tracking.id = %tracking,
        error = error as &dyn std::error::Error,
        "a twin request failed"
    );
    let body = ServiceError::hub(code, message, tracking, hub.now());
    let payload = serde_json::to_string(&body).unwrap_or_default();
    respond((code.http_status(), None), rid, payload)
}

fn respond((status, version): (u16, Option<u64>), rid: String, payload: String) -> Outgoing {
    let topic = HubTopic::TwinResponse {
        status,
        rid,
        version,
    };
    Outgoing {
        topic: topic.to_string(),
        payload: payload.into(),
        qos: QoS::AtMostOnce,
        receipt: None,
    }
}

#[derive(Debug, thiserror::Error)]
enum TwinRequestError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Twin(#[from] TwinError),
    #[error(transparent)]
    Throttled(#[from] Throttled),
}

impl TwinRequestError {
    /// The code and text for the device.
    fn outside(&self) -> (HubErrorCode, String) {
        match self {
            Self::Body(error) => (HubErrorCode::ArgumentInvalid, error.to_string()),
            Self::Throttled(error) => (HubErrorCode::ThrottlingException, error.to_string()),
            Self::Twin(error) => match error::twin(error) {
                HubErrorCode::ServerError => {
                    (HubErrorCode::ServerError, "the server failed".to_owned())
                }
                code => (code, error.to_string()),
            },
        }
    }
}
