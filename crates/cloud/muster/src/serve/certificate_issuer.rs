//! Connected devices get certificates of the provisioning services, which the hubs do not know.

use dps::{Dps, RenewalFault};
use hub::{CertificateIssuer, CertificateRefused, CertificateRequest, Issuing};

pub struct ServiceIssuer(pub Dps);

impl CertificateIssuer for ServiceIssuer {
    fn issue(&self, request: CertificateRequest) -> Issuing {
        let dps = self.0.clone();
        Box::pin(async move {
            let CertificateRequest {
                device,
                presented,
                csr,
            } = request;
            let renewed = dps.renew_certificate(&device, presented, &csr).await;
            renewed.map_err(|fault| match fault {
                RenewalFault::NotEntitled(why) => CertificateRefused::NotEntitled(why),
                RenewalFault::Request(why) => CertificateRefused::Request(why),
                other => CertificateRefused::Failed(other.into()),
            })
        })
    }
}
