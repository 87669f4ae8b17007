//! Requests of operators about CA certificates.

use axum::http::Method;
use pki::Certificate;
use serde_json::Value;

use super::{Answer, Service};

pub const CERTIFICATES: &str = "/muster/v1/dps/certificates";

pub fn upload(certificate: &Certificate, verified: Option<bool>) -> Value {
    wire::service_api::ca_certificate::CaCertificateRequest::body(&certificate.to_pem(), verified)
}

impl Service {
    /// An operator's request about the CA certificate `name`, or a verb of it; any version will do.
    pub async fn ca_certificate(&self, method: Method, name: &str, body: Option<&Value>) -> Answer {
        let path = format!("{CERTIFICATES}/{name}");
        self.operate(method, &path, &[("if-match", "*")], body)
            .await
    }

    pub async fn upload(&self, name: &str, certificate: &Certificate, verified: bool) -> Answer {
        let path = format!("{CERTIFICATES}/{name}");
        self.create(&path, &upload(certificate, Some(verified)))
            .await
    }
}
