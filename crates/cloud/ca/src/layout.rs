//! The files of a hierarchy, in the layout of Azure's demo scripts.
//!
//! Source: `tools/CACertificates/certGen.sh` of Azure/iotedge. The names must not change,
//! because guides quote them.

use std::path::{Path, PathBuf};

/// The files of one CA or identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaPaths {
    pub certificate: PathBuf,
    /// The certificate with all its issuers up to the root.
    pub chain: PathBuf,
    pub key: PathBuf,
    /// PKCS#12 with certificate, issuers and key; only when it was asked for.
    pub pfx: PathBuf,
}

pub(crate) const ROOT_COMMON_NAME: &str = "Azure_IoT_Hub_CA_Cert_Test_Only";
pub(crate) const INTERMEDIATE_COMMON_NAME: &str = "Azure_IoT_Hub_Intermediate_Cert_Test_Only";

pub(crate) fn certs(dir: &Path) -> PathBuf {
    dir.join("certs")
}

pub(crate) fn private(dir: &Path) -> PathBuf {
    dir.join("private")
}

pub(crate) fn root(dir: &Path) -> CaPaths {
    named_root(dir, "azure-iot-test-only.root.ca")
}

/// The root that is being rolled.
pub(crate) fn previous_root(dir: &Path) -> CaPaths {
    named_root(dir, "azure-iot-test-only.root.ca.previous")
}

/// The root that a roll is about to begin with.
pub(crate) fn next_root(dir: &Path) -> CaPaths {
    named_root(dir, "azure-iot-test-only.root.ca.next")
}

/// The two certificates by which roots vouch for each other while the root is rolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossPaths {
    /// The new root's key, certified by the previous root.
    pub new_by_previous: PathBuf,
    /// The previous root's key, certified by the new root.
    pub previous_by_new: PathBuf,
}

pub(crate) fn cross(dir: &Path) -> CrossPaths {
    let file = |name: &str| certs(dir).join(format!("azure-iot-test-only.root.ca.{name}.cert.pem"));
    CrossPaths {
        new_by_previous: file("new-by-previous"),
        previous_by_new: file("previous-by-new"),
    }
}

fn named_root(dir: &Path, stem: &str) -> CaPaths {
    let certificate = certs(dir).join(format!("{stem}.cert.pem"));
    CaPaths {
        chain: certificate.clone(),
        certificate,
        key: private(dir).join(format!("{stem}.key.pem")),
        pfx: certs(dir).join(format!("{stem}.cert.pfx")),
    }
}

pub(crate) fn intermediate(dir: &Path) -> CaPaths {
    named(dir, "azure-iot-test-only.intermediate")
}

/// The intermediate that is being rolled.
pub(crate) fn previous_intermediate(dir: &Path) -> CaPaths {
    named(dir, "azure-iot-test-only.intermediate.previous")
}

/// The intermediate that a roll is about to begin with.
pub(crate) fn next_intermediate(dir: &Path) -> CaPaths {
    named(dir, "azure-iot-test-only.intermediate.next")
}

pub(crate) fn crl(dir: &Path) -> PathBuf {
    dir.join("crl")
}

/// The folder of the records: what was issued and revoked. Azure's scripts have no such folder.
pub(crate) fn index(dir: &Path) -> PathBuf {
    dir.join("index")
}

pub(crate) fn verification(dir: &Path) -> PathBuf {
    certs(dir).join("iot-device-verification-code.cert.pem")
}

pub(crate) fn named(dir: &Path, stem: &str) -> CaPaths {
    // `Path::with_extension` would cut names such as `edge-1.factory`.
    CaPaths {
        certificate: certs(dir).join(format!("{stem}.cert.pem")),
        chain: certs(dir).join(format!("{stem}-full-chain.cert.pem")),
        key: private(dir).join(format!("{stem}.key.pem")),
        pfx: certs(dir).join(format!("{stem}.cert.pfx")),
    }
}
