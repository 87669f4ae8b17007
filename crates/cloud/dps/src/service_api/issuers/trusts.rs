//! `/muster/v1/dps/issuers/{name}/trusts`: the CA certificates whose devices may enrol.

use ids::{CertificateName, IssuerName};
use registry::Right;
use rest::{Reply, delete, get, put};

use super::{existing, keys, reply};
use crate::error::ServiceFault;
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, provisioning};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/issuers/{name}/trusts", reads, list),
        put(
            "/muster/v1/dps/issuers/{name}/trusts/{certificate}",
            writes,
            add,
        ),
        delete(
            "/muster/v1/dps/issuers/{name}/trusts/{certificate}",
            writes,
            remove,
        ),
    ]
}

async fn list(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    Ok(Reply::json(&existing(&call, &name)?.trusts))
}

async fn add(
    call: Call,
    name: IssuerName,
    certificate: CertificateName,
) -> Result<Reply, ServiceFault> {
    let written = provisioning(&call).add_issuer_trust(&name, &certificate, now(&call));
    reply(keys(&call), written.await?)
}

async fn remove(
    call: Call,
    name: IssuerName,
    certificate: CertificateName,
) -> Result<Reply, ServiceFault> {
    let written = provisioning(&call).remove_issuer_trust(&name, &certificate, now(&call));
    written.await?;
    Ok(Reply::no_content())
}
