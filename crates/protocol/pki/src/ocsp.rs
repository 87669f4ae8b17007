//! OCSP (RFC 6960), the responder's side: requests in, answers that the CA itself signs out.

mod answer;
mod cert_id;
mod request;

pub use answer::{OcspAnswer, OcspFailure, OcspStatus, build_ocsp_response, ocsp_failure};
pub use cert_id::{CaHashes, CertId, OcspHash};
pub use request::{MAX_OCSP_IDS, MAX_OCSP_REQUEST_BYTES, OcspRequest, OcspRequestError};

/// 1.3.6.1.5.5.7.48.1.2.
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
