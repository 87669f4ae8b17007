//! `/muster/v1/dps/certificate-report`: what the fleet's certificates are like.

use registry::Right;
use rest::{Reply, get};

use crate::error::ServiceFault;
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, provisioning};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    vec![get("/muster/v1/dps/certificate-report", reads, report)]
}

async fn report(call: Call) -> Result<Reply, ServiceFault> {
    let counted = provisioning(&call).certificate_report(now(&call)).await?;
    Ok(Reply::json(&counted))
}
