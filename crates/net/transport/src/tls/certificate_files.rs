//! Certificates of the operator's own, from files that somebody else renews: read again when they change.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki::{Certificate, KeyError, KeyMismatch, PemError, PrivateKey};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::certified_key;
use ids::error_chain;

/// A chain of ten RSA 4096 certificates with their text forms is shorter.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCertificate {
    /// PEM: the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM: its key, not encrypted.
    pub key: PathBuf,
    /// PEM: what clients have to trust, when that is not the last certificate of the chain.
    pub ca: Option<PathBuf>,
}

/// One certificate as TLS needs it.
#[derive(Debug, Clone)]
pub struct OwnKey {
    leaf: CertificateDer<'static>,
    /// The chain with its key.
    pub key: Arc<CertifiedKey>,
}

impl OwnKey {
    /// Whether it is valid for a host name or address.
    pub fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        ParsedCertificate::try_from(&self.leaf)
            .is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }
}

/// All of them, as of the last look that could read them.
pub struct OwnCertificates(Vec<Watched>);

struct Watched {
    files: OwnCertificate,
    seen: Stamp,
    loaded: Loaded,
}

struct Loaded {
    key: OwnKey,
    trust: Vec<Certificate>,
    certificate: Certificate,
}

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// From the system.
        source: std::io::Error,
    },
    /// The key file holds no key that can be used.
    #[error("the key {}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A certificate file cannot be parsed.
    #[error("the certificate {}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PemError,
    },
    /// A certificate file is empty.
    #[error("{} holds no certificate", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key is not that of the certificate.
    #[error("{} and {}", .certificate.display(), .key.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// How they differ.
        source: KeyMismatch,
    },
    /// TLS cannot use the key with the certificate.
    #[error("{} and {}", .certificate.display(), .key.display())]
    Tls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// From the TLS library.
        source: rustls::Error,
    },
    /// Nothing says what clients have to trust.
    #[error("{} holds the certificate alone: append its issuers to it, or name with `ca` what clients have to trust", .path.display())]
    NoIssuers {
        /// The certificate's file.
        path: PathBuf,
    },
}

/// Tells one state of the files from another without reading them.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl fmt::Debug for OwnCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|watched| &watched.files))
            .finish()
    }
}

impl OwnCertificates {
    /// Reads all of them for the first time.
    pub fn load(files: &[OwnCertificate]) -> Result<Self, CertificateFileError> {
        let watched = files.iter().map(|files| {
            let seen = stamp(files);
            let loaded = load(files)?;
            loaded.log(files);
            Ok(Watched {
                files: files.clone(),
                seen,
                loaded,
            })
        });
        watched.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the operator has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads again what has changed. Files that do not fit together, because half of them is written, leave what was read before.
    pub fn look(&mut self) {
        for watched in &mut self.0 {
            let now = stamp(&watched.files);
            if now == watched.seen {
                continue;
            }
            match load(&watched.files) {
                Ok(loaded) => {
                    loaded.log(&watched.files);
                    watched.loaded = loaded;
                }
                Err(error) => tracing::error!(
                    error = error_chain(&error),
                    "a server certificate has changed and cannot be used; the one that was read before stays"
                ),
            }
            watched.seen = now;
        }
    }

    /// What TLS shows, in the order of the configuration.
    pub fn keys(&self) -> Vec<OwnKey> {
        let keys = self.0.iter().map(|watched| watched.loaded.key.clone());
        keys.collect()
    }

    /// What clients have to trust because of them.
    pub fn trust(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().flat_map(|watched| &watched.loaded.trust)
    }
}

impl Loaded {
    fn log(&self, files: &OwnCertificate) {
        tracing::info!(
            file = %files.certificate.display(),
            certificate.subject = %self.certificate.subject(),
            certificate.not_after = %self.certificate.not_after(),
            certificate.sha256 = %self.certificate.sha256(),
            "a server certificate of the operator's own was read"
        );
    }
}

fn stamp(files: &OwnCertificate) -> Stamp {
    let paths = [
        Some(&files.certificate),
        Some(&files.key),
        files.ca.as_ref(),
    ];
    let state = |file: Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
    let state = |path: &PathBuf| std::fs::metadata(path).ok().map(state);
    paths.into_iter().flatten().map(state).collect()
}

fn load(files: &OwnCertificate) -> Result<Loaded, CertificateFileError> {
    let path = || files.certificate.clone();
    let chain = certificates(&files.certificate)?;
    let key = PrivateKey::from_pem(&read(&files.key)?, None).map_err(|source| {
        let path = files.key.clone();
        CertificateFileError::Key { path, source }
    })?;
    let [leaf, issuers @ ..] = chain.as_slice() else {
        return Err(CertificateFileError::Empty { path: path() });
    };
    let matching = key.matches(leaf);
    matching.map_err(|source| CertificateFileError::Mismatch {
        certificate: path(),
        key: files.key.clone(),
        source,
    })?;
    let trust = match (&files.ca, issuers.last()) {
        (Some(ca), _) => certificates(ca)?,
        (None, Some(last)) => vec![last.clone()],
        (None, None) if leaf.is_self_issued() => vec![leaf.clone()],
        (None, None) => return Err(CertificateFileError::NoIssuers { path: path() }),
    };
    let der = chain.iter().map(|one| one.der().to_vec()).collect();
    let certified = certified_key(der, key.pkcs8_der());
    let certified = certified.map_err(|source| CertificateFileError::Tls {
        certificate: path(),
        key: files.key.clone(),
        source,
    })?;
    Ok(Loaded {
        key: OwnKey {
            leaf: leaf.certificate_der().clone(),
            key: Arc::new(certified),
        },
        trust,
        certificate: leaf.clone(),
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, CertificateFileError> {
    let parsed = Certificate::parse_pem_bundle(&read(path)?);
    parsed.map_err(|source| CertificateFileError::Certificate {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Zeroizing<String>, CertificateFileError> {
    use std::io::Read;
    let unreadable = |source| CertificateFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}
