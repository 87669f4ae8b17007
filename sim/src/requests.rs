//! Requests for certificates.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Thumbprint;
use rcgen::{
    CertificateParams, CertificateSigningRequest, DistinguishedName, DnType, KeyPair, PublicKeyData,
};

use crate::openssl;

/// A request with a new P-256 key that is forgotten, and the SHA-256 of its SubjectPublicKeyInfo.
pub fn new_request(name: &str) -> Result<(CertificateSigningRequest, Thumbprint)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let spki = pki::sha256(&key.subject_public_key_info());
    Ok((params.serialize_request(&key)?, spki))
}

/// The same as a file, PEM. Returns the SHA-256 of its SubjectPublicKeyInfo.
pub fn write_request(path: &Path, name: &str) -> Result<Thumbprint> {
    let (request, spki) = new_request(name)?;
    std::fs::write(path, request.pem()?)?;
    Ok(spki)
}

/// Has OpenSSL make a P-256 key `FILE.key` and a request for it, `FILE.csr`, DER; the request in
/// base64. `subject` is as `-subj` has it.
pub fn request_by_openssl(dir: &Path, file: &str, subject: &str) -> Result<String> {
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -outform DER";
    openssl(
        dir,
        &format!("{new} -keyout {file}.key -out {file}.csr -subj '{subject}'"),
    )?;
    Ok(STANDARD.encode(std::fs::read(dir.join(format!("{file}.csr")))?))
}
