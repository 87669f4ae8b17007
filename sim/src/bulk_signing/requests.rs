use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use ids::Thumbprint;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};

/// Names, and the SHA-256 of their public keys.
pub(super) type Expected = HashMap<String, Thumbprint>;

/// One request with a new P-256 key, PEM. Returns the SHA-256 of its SubjectPublicKeyInfo.
pub fn write_request(path: &Path, name: &str) -> Result<Thumbprint> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    std::fs::write(path, params.serialize_request(&key)?.pem()?)?;
    Ok(pki::sha256(&key.subject_public_key_info()))
}

/// One file for each request.
pub(super) fn write_all(dir: &Path, count: usize) -> Result<Expected> {
    std::fs::create_dir(dir)?;
    let one = |number| {
        let name = format!("device-{number:06}");
        let key = write_request(&dir.join(format!("{name}.csr")), &name)?;
        Ok((name, key))
    };
    (1..=count).map(one).collect()
}
