//! Server certificates of the operator, in files that another program renews. They are read
//! again when they change.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki::{Certificate, PrivateKey, Signer};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use zeroize::Zeroizing;

mod error;

pub use error::FileError;
use ids::error_chain;

/// The most bytes of a file. A chain of ten RSA 4096 certificates with their text forms is shorter.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCertificate {
    /// PEM: the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM: the key of the certificate, not encrypted.
    pub key: PathBuf,
    /// PEM: the CA certificates that clients have to trust, when that is not the last
    /// certificate of the chain.
    pub ca: Option<PathBuf>,
}

/// One certificate with its key, as TLS needs them.
#[derive(Debug, Clone)]
pub struct OwnKey {
    leaf: CertificateDer<'static>,
    /// The chain with its key.
    pub key: Arc<CertifiedKey>,
}

impl OwnKey {
    /// Whether the certificate is valid for a host name or address.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        ParsedCertificate::try_from(&self.leaf)
            .is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }
}

/// The certificates of the operator, as they were when their files were last readable.
pub struct OwnCertificates(Vec<Watched>);

struct Watched {
    files: OwnCertificate,
    stamp: Stamp,
    loaded: Loaded,
}

struct Loaded {
    key: OwnKey,
    trust: Vec<Certificate>,
    certificate: Certificate,
}

/// Differs when a file has changed: inode, length and time of each.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl fmt::Debug for OwnCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|watched| &watched.files))
            .finish()
    }
}

impl OwnCertificates {
    /// Reads all files for the first time.
    pub fn load(files: &[OwnCertificate]) -> Result<Self, FileError> {
        let watched = files.iter().map(|files| {
            let stamp = stamp(files);
            let loaded = load(files)?;
            loaded.log(files);
            Ok(Watched {
                files: files.clone(),
                stamp,
                loaded,
            })
        });
        watched.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the operator has no certificates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads files again that have changed. Files that do not fit together, because one of them is
    /// not written yet, change nothing.
    pub fn reload(&mut self) {
        for watched in &mut self.0 {
            let now = stamp(&watched.files);
            if now == watched.stamp {
                continue;
            }
            match load(&watched.files) {
                Ok(loaded) => {
                    loaded.log(&watched.files);
                    watched.loaded = loaded;
                }
                Err(error) => tracing::error!(
                    error = error_chain(&error),
                    "a server certificate has changed and cannot be used; \
                     the one that was read before stays"
                ),
            }
            watched.stamp = now;
        }
    }

    /// The certificates with their keys, in the order of the configuration.
    #[must_use]
    pub fn keys(&self) -> Vec<OwnKey> {
        let keys = self.0.iter().map(|watched| watched.loaded.key.clone());
        keys.collect()
    }

    /// The CA certificates that clients have to trust.
    pub fn trust(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().flat_map(|watched| &watched.loaded.trust)
    }
}

impl Loaded {
    fn log(&self, files: &OwnCertificate) {
        tracing::info!(
            file = %files.certificate.display(),
            certificate.subject = %self.certificate.subject(),
            certificate.not_after = %self.certificate.not_after().in_seconds(),
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

fn load(files: &OwnCertificate) -> Result<Loaded, FileError> {
    let path = || files.certificate.clone();
    let chain = certificates(&files.certificate)?;
    let key = PrivateKey::from_pem(&read(&files.key)?, None).map_err(|source| {
        let path = files.key.clone();
        FileError::Key { path, source }
    })?;
    let [leaf, issuers @ ..] = chain.as_slice() else {
        return Err(FileError::Empty { path: path() });
    };
    let key = Signer::from(key);
    let certified = key.certified(leaf, issuers);
    let certified = certified.map_err(|source| FileError::Mismatch {
        certificate: path(),
        key: files.key.clone(),
        source,
    })?;
    let trust = match (&files.ca, issuers.last()) {
        (Some(ca), _) => certificates(ca)?,
        (None, Some(last)) => vec![last.clone()],
        (None, None) if leaf.is_self_issued() => vec![leaf.clone()],
        (None, None) => return Err(FileError::NoIssuers { path: path() }),
    };
    Ok(Loaded {
        key: OwnKey {
            leaf: leaf.certificate_der().clone(),
            key: Arc::new(certified),
        },
        trust,
        certificate: leaf.clone(),
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, FileError> {
    let parsed = Certificate::parse_pem_bundle(&read(path)?);
    parsed.map_err(|source| FileError::Certificate {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Zeroizing<String>, FileError> {
    use std::io::Read;
    let unreadable = |source| FileError::Unreadable {
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
