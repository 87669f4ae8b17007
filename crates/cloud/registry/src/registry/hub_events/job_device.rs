//! Events about the devices of jobs.

use std::sync::Arc;

use ids::{HubName, Identity};
use store::{JobDeviceRow, JobDeviceState, StoreError, Tx};
use wire::telemetry::EventSource;

use super::{enter, event};
use crate::registry::queries::job_device_document;
use crate::registry::watchers::Watchers;

/// Enters what a job came to on a device or module, when it is written.
pub(crate) fn job_device_ended(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    hub: &HubName,
    row: &JobDeviceRow,
) -> Result<(), StoreError> {
    let source = EventSource::DeviceJobLifecycleEvents;
    if !watchers.wants(hub, source) {
        return Ok(());
    }
    let operation = match row.state {
        JobDeviceState::Pending | JobDeviceState::Running => return Ok(()),
        JobDeviceState::Completed => "completeDeviceJob",
        JobDeviceState::Failed => "failDeviceJob",
        JobDeviceState::Cancelled => "cancelDeviceJob",
    };
    let Some(job) = tx.job_of_row(row.job)? else {
        return Ok(());
    };
    let body = job_device_document(tx, &job, row.clone())?;
    let about = Identity {
        hub: hub.clone(),
        device: row.device_id.clone(),
        module: row.module_id.clone(),
    };
    let schema = "deviceJobLifecycleNotification";
    enter(
        tx,
        watchers,
        &event(source, schema, operation, &about, &body),
    )
}
