//! The Certificates API (`certd.sock`): what Azure's certificate daemon answers to other programs
//! of the device.

use serde::{Deserialize, Serialize};

/// The versions that are answered.
pub const API_VERSIONS: [&str; 1] = ["2020-09-01"];

/// `POST /certificates`: issue a certificate for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateCertificateRequest {
    /// Under which the certificate is kept.
    pub cert_id: String,
    /// A PKCS#10 request, PEM.
    pub csr: String,
    /// Which certificate of the device issues it; without it, what `[cert_issuance]` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<CertificateIssuer>,
}

/// A certificate of the device that issues others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateIssuer {
    /// Under which it is kept, such as `aziot-edged-ca`.
    pub cert_id: String,
    /// The handle of its key.
    pub private_key_handle: String,
}

/// `PUT /certificates/{id}`, and the answer to every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateText {
    /// PEM certificates, the first for the id.
    pub pem: String,
}
