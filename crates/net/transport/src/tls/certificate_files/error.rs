use std::path::PathBuf;

use pki::{KeyError, KeyMismatch, PemError};

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file as it is configured.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The key file holds no key that can be used.
    #[error("the key {}", .path.display())]
    Key {
        /// The file as it is configured.
        path: PathBuf,
        /// The fault that was found in the file.
        source: KeyError,
    },
    /// A certificate file cannot be parsed.
    #[error("the certificate {}", .path.display())]
    Certificate {
        /// The file as it is configured.
        path: PathBuf,
        /// The fault that was found in the file.
        source: PemError,
    },
    /// A certificate file is empty.
    #[error("{} holds no certificate", .path.display())]
    Empty {
        /// The file as it is configured.
        path: PathBuf,
    },
    /// The key is not that of the certificate.
    #[error("{} and {}", .certificate.display(), .key.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// How the two public keys differ.
        source: KeyMismatch,
    },
    /// Nothing says what clients have to trust.
    #[error(
        "{} holds the certificate alone: append its issuers to it, \
         or name with `ca` what clients have to trust",
        .path.display()
    )]
    NoIssuers {
        /// The file of the certificate.
        path: PathBuf,
    },
}
