//! What is said of an item of a bulk request, or of a line of an import, that failed.

use ids::error_chain;
use wire::error::HubErrorCode;
use wire::service_api::import_device::ImportError;

use crate::error::HubError;

pub(crate) fn failed(
    (device_id, module_id): (String, String),
    error: &HubError,
    operation: Option<&'static str>,
) -> ImportError {
    let (_, code) = error.code();
    if code == HubErrorCode::ServerError {
        let cause = error_chain(error);
        tracing::error!(
            device.id = device_id,
            error = cause,
            "a device was not written"
        );
    }
    ImportError {
        device_id,
        module_id: (!module_id.is_empty()).then_some(module_id),
        error_code: code.code(),
        error_status: error.outside(),
        operation,
    }
}
