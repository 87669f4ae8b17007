//! The CAs of `muster serve`: a P-256 root that issues and renews the server's certificate, and an
//! RSA root that does the same for clients without elliptic curves.

mod credential;

use std::io;
use std::path::{Path, PathBuf};

use ids::Timestamp;
use pki::{Certificate, Issuer, KeyType, PrivateKey, Profile, ServerName};

use crate::sign::sign;
use crate::{CaError, files};
pub use credential::ServerCredential;

const CA_DAYS: u32 = 3650;
const SERVER_DAYS: u32 = 365;
const SERVER_COMMON_NAME: &str = "Muster server";
/// The roots that clients must trust, when that is not the P-256 root alone.
const TRUST_FILE: &str = "server-trust.pem";

/// The kinds of server certificates. Each is under a root of the same kind, and a client gets one
/// that its TLS can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// P-256, for nearly all clients.
    Ec,
    /// RSA of 2048 bits, for small devices without elliptic curves.
    Rsa,
}

impl ServerKind {
    fn ca_certificate(self) -> &'static str {
        match self {
            Self::Ec => "server-ca.cert.pem",
            Self::Rsa => "server-rsa-ca.cert.pem",
        }
    }

    fn ca_key(self) -> &'static str {
        match self {
            Self::Ec => "server-ca.key.pem",
            Self::Rsa => "server-rsa-ca.key.pem",
        }
    }

    fn server(self) -> &'static str {
        match self {
            Self::Ec => "server.pem",
            Self::Rsa => "server-rsa.pem",
        }
    }

    fn ca_name(self) -> &'static str {
        match self {
            Self::Ec => "Muster server CA",
            Self::Rsa => "Muster server CA (RSA)",
        }
    }

    fn new_key(self, name: &str) -> Result<PrivateKey, CaError> {
        let kind = match self {
            Self::Ec => KeyType::Ec,
            Self::Rsa => KeyType::Rsa2048,
        };
        PrivateKey::generate(kind).map_err(|source| CaError::NewKey {
            name: name.to_owned(),
            source,
        })
    }
}

/// A server CA with its key. Its files in `<data-dir>/ca` are `server-ca.cert.pem`,
/// `server-ca.key.pem`, and `server.pem` with the server's key, certificate and CA in one
/// file, so that a renewal replaces all or nothing. For RSA they are
/// `server-rsa-ca.cert.pem`, `server-rsa-ca.key.pem` and `server-rsa.pem`.
#[derive(Debug)]
pub struct ServerCa {
    dir: PathBuf,
    kind: ServerKind,
    issuer: Issuer,
}

impl ServerCa {
    /// The file of the P-256 CA certificate.
    #[must_use]
    pub fn certificate_path(data_dir: &Path) -> PathBuf {
        data_dir.join("ca").join(ServerKind::Ec.ca_certificate())
    }

    /// The file with the CA certificates that clients must trust.
    #[must_use]
    pub fn trust_path(data_dir: &Path) -> PathBuf {
        let all = data_dir.join("ca").join(TRUST_FILE);
        match all.exists() {
            true => all,
            false => Self::certificate_path(data_dir),
        }
    }

    /// Writes the CA certificates that clients must trust, first the one for clients that
    /// read one certificate only.
    pub fn write_trust(data_dir: &Path, certificates: &[Certificate]) -> Result<(), CaError> {
        let dir = data_dir.join("ca");
        let path = dir.join(TRUST_FILE);
        let text: String = certificates.iter().map(Certificate::to_pem).collect();
        // The file is compared every few seconds, and changes every few years.
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        files::write_public(&path, &text)?;
        files::sync_dir(&dir)
    }

    /// Whether a data directory has a CA of this kind.
    #[must_use]
    pub fn exists(data_dir: &Path, kind: ServerKind) -> bool {
        data_dir.join("ca").join(kind.ca_certificate()).exists()
    }

    /// Opens the P-256 CA of a data directory, or makes it.
    pub fn open_or_create(data_dir: &Path, now: Timestamp) -> Result<Self, CaError> {
        Self::open_or_create_of(ServerKind::Ec, data_dir, now)
    }

    /// Opens a CA of a data directory, or makes it. After a crash between its two files, the
    /// certificate is made for the existing key.
    pub fn open_or_create_of(
        kind: ServerKind,
        data_dir: &Path,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        let dir = data_dir.join("ca");
        files::create_dir(&dir, true)?;
        let key_path = dir.join(kind.ca_key());
        let certificate_path = dir.join(kind.ca_certificate());
        let key = if key_path.exists() || certificate_path.exists() {
            files::read_key(&key_path, None)?
        } else {
            let key = kind.new_key(kind.ca_name())?;
            files::write_private(&key_path, &key.to_pem())?;
            files::sync_dir(&dir)?;
            key
        };
        let certificate = if certificate_path.exists() {
            files::read_certificate(&certificate_path)?
        } else {
            let certificate = sign(
                Profile::Root { path_length: 0 },
                kind.ca_name(),
                None,
                CA_DAYS,
                &key,
                now,
            )?;
            files::write_public(&certificate_path, &certificate.to_pem())?;
            files::sync_dir(&dir)?;
            certificate
        };
        let issuer = Issuer::new(certificate, key).map_err(|source| CaError::Issuer {
            path: certificate_path,
            source,
        })?;
        Ok(Self { dir, kind, issuer })
    }

    /// The CA certificate that clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// The server certificate for `names` (DNS names and IP addresses): the existing one while it
    /// fits, else a new one.
    ///
    /// It fits while it has exactly these names, was issued by this CA, and more than a third of
    /// its validity is left. A file that cannot be read is replaced, because everything in it
    /// can be made again.
    ///
    /// # Errors
    /// When a name is neither a DNS name nor an IP address, the CA has expired, or the file cannot
    /// be read or written.
    pub fn ensure_server_certificate<N: AsRef<str>>(
        &self,
        names: &[N],
        now: Timestamp,
    ) -> Result<ServerCredential, CaError> {
        let mut wanted = names
            .iter()
            .map(|name| {
                ServerName::parse(name.as_ref()).map_err(|source| CaError::Issue {
                    name: name.as_ref().to_owned(),
                    source,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        wanted.sort();
        wanted.dedup();
        let path = self.dir.join(self.kind.server());
        let current = self.current(&path)?;
        if let Some(credential) = &current
            && credential.fits(&wanted, now)
        {
            return Ok(credential.clone());
        }
        // A new name does not need a new key, and an RSA key takes long to make.
        let key = current
            .filter(|current| self.kind == ServerKind::Rsa && current.is_fresh(now))
            .map(|current| current.key);
        let credential = self.issue(wanted, key, now)?;
        files::write_private(&path, &credential.to_pem())?;
        files::sync_dir(&self.dir)?;
        tracing::info!(
            certificate.not_after = %credential.certificate.not_after().in_seconds(),
            certificate.sha256 = %credential.certificate.sha256(),
            "issued a server certificate"
        );
        Ok(credential)
    }

    fn current(&self, path: &Path) -> Result<Option<ServerCredential>, CaError> {
        if !path.exists() {
            return Ok(None);
        }
        match files::read(path) {
            Ok(text) => Ok(self.parse(&text)),
            Err(CaError::Read { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn parse(&self, text: &str) -> Option<ServerCredential> {
        let key = PrivateKey::from_pem(text, None).ok()?;
        let certificate = Certificate::parse_pem_bundle(text)
            .ok()?
            .into_iter()
            .next()?;
        let ours = certificate.is_signed_by(self.certificate());
        let pair = key.matches(&certificate).ok()?;
        ours.then(|| ServerCredential {
            certificate: pair.certificate().clone(),
            ca: self.certificate().clone(),
            key,
        })
    }

    fn issue(
        &self,
        names: Vec<ServerName>,
        key: Option<PrivateKey>,
        now: Timestamp,
    ) -> Result<ServerCredential, CaError> {
        let key = match key {
            Some(key) => key,
            None => self.kind.new_key(SERVER_COMMON_NAME)?,
        };
        let certificate = sign(
            Profile::Server { names },
            SERVER_COMMON_NAME,
            Some(&self.issuer),
            SERVER_DAYS,
            &key,
            now,
        )?;
        Ok(ServerCredential {
            certificate,
            ca: self.certificate().clone(),
            key,
        })
    }
}
