//! Enrollment over Secure Transport (RFC 7030, with the clarifications of RFC 8951): paths, bodies,
//! and HTTP Basic credentials.

mod basic;
mod body;
mod path;

pub use basic::{BasicCredentials, CredentialsError, MAX_PASSWORD, MAX_USERNAME};
pub use body::{
    BodyError, MAX_BODY, decode, encode, encode_in_one_line, key_and_certificate, require_pkcs10,
};
pub use path::{EstCall, Operation};

/// `Content-Type` of a certificate request.
pub const PKCS10: &str = "application/pkcs10";
/// `Content-Type` of certificates.
pub const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";
/// `Content-Type` of what a request should ask for.
pub const CSR_ATTRIBUTES: &str = "application/csrattrs";
/// Header of every body in base64. Clients of RFC 7030 expect it; those of RFC 8951 ignore it.
pub const TRANSFER_ENCODING: &str = "content-transfer-encoding";
