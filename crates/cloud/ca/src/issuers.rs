//! The CAs that issue certificates to devices as they register: made here or imported. Each is one
//! file with its key in `<data-dir>/ca/issuers`.

mod log_key;
mod portable;
mod published;

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ids::{Thumbprint, Timestamp};
use pki::log::LogSigner;
use pki::{
    AdmittedRequest, Certificate, CrlError, CrlRefused, IssueError, Issuer, KeyError, PemError,
    PrivateKey, Profile, ProfileError, Publication, Serial, UnusableCaCertificate,
    usable_ca_certificate,
};
use zeroize::Zeroizing;

use crate::sign::{new_key, sign};
use crate::{CaError, files};
pub use portable::PortableIssuer;
use published::Published;

/// The longest imported chain.
const MAX_CHAIN: usize = 5;

/// Why an issuer is not kept, or does not issue.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("the certificate chain cannot be read")]
    Chain(#[from] PemError),
    #[error("the chain has {0} certificates; {MAX_CHAIN} at most are kept")]
    TooLong(usize),
    #[error(
        "{subject} is not signed by the certificate that follows it; give the issuing certificate \
         first, then the one that issued it"
    )]
    Broken {
        /// The certificate with another issuer than the next one.
        subject: String,
    },
    /// No device certificate of this CA would be trusted.
    #[error("the certificate {problem}")]
    Unusable { problem: UnusableCaCertificate },
    /// It shall issue certificates of CAs, and none of them would be trusted.
    #[error(
        "the CA certificate has a path length of 0, so that no CA may be below it; give one with \
         room, or another profile"
    )]
    PathLength,
    #[error("the private key cannot be read")]
    Key(#[from] KeyError),
    /// The certificate and the key do not belong together, or the certificate cannot sign.
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("the profile of the issuer is not valid")]
    Profile(#[from] ProfileError),
    /// The key file does not exist.
    #[error(
        "{} is missing: the key of this issuer; restore it from a backup of the data directory, \
         or delete the issuer and make another", .0.display()
    )]
    Missing(PathBuf),
    /// Certificates of this CA could be revoked in no list.
    #[error(
        "{subject} may not sign revocation lists: its keyUsage lacks cRLSign; give another CA, or \
         --no-crl (noCrl) when nobody outside needs to know what is revoked"
    )]
    NoCrlSign {
        /// The subject of the CA certificate.
        subject: String,
    },
    /// A revocation list that was just signed is broken: nobody gets it.
    #[error("the signed revocation list cannot be read")]
    CrlUnreadable(#[source] CrlError),
    #[error("the signed revocation list does not verify")]
    CrlUnverified(#[source] CrlRefused),
    #[error(transparent)]
    File(#[from] CaError),
}

/// The device issuers of a server. Each is found by the SHA-256 of its certificate.
pub struct DeviceIssuers {
    dir: PathBuf,
    published: Published,
    open: RwLock<HashMap<Thumbprint, Arc<OpenIssuer>>>,
    log_signer: Mutex<Option<Arc<LogSigner>>>,
}

struct OpenIssuer {
    issuer: Issuer,
    issuers: Vec<Certificate>,
}

/// An issued certificate with its issuers.
#[derive(Debug, Clone)]
pub struct IssuedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

impl IssuedChain {
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The CA certificate that signed the leaf, and those above it.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// The leaf, its issuer, and that one's issuers, as far as they are known.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }
}

impl DeviceIssuers {
    /// The issuers of a data directory. A file is read when it is first needed.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("ca").join("issuers"),
            published: Published::default(),
            open: RwLock::default(),
            log_signer: Mutex::default(),
        }
    }

    /// The key that signs the heads of the log of issued certificates. Made once, beside the keys
    /// of the issuers.
    pub fn log_signer(&self) -> Result<Arc<LogSigner>, CaError> {
        let mut known = self
            .log_signer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = &*known {
            return Ok(Arc::clone(signer));
        }
        let signer = Arc::new(log_key::open_or_create(&self.dir)?);
        *known = Some(Arc::clone(&signer));
        Ok(signer)
    }

    /// Makes a self-signed CA with a P-256 key, with room for `path_length` CAs below it. Returns
    /// its certificate when it is durable.
    pub fn make(
        &self,
        common_name: &str,
        life_days: u16,
        path_length: u8,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let key = new_key(common_name)?;
        let profile = Profile::Root { path_length };
        let certificate = sign(profile, common_name, None, life_days.into(), &key, now)?;
        self.keep(vec![certificate], key)
    }

    /// Keeps an existing CA: its certificate followed by its issuers, PEM, and its private key,
    /// PEM. It must have room for `path_length` CAs below it. Returns its chain when it is durable.
    pub fn import(
        &self,
        chain: &str,
        key: &str,
        path_length: u8,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let chain = read_chain(chain)?;
        if let Some(issuer) = chain.first() {
            usable_ca_certificate(issuer, now)
                .map_err(|problem| IssuerError::Unusable { problem })?;
            if issuer
                .path_length()
                .is_some_and(|own| own < u32::from(path_length))
            {
                return Err(IssuerError::PathLength);
            }
        }
        self.keep(chain, PrivateKey::from_pem(key, None)?)
    }

    fn keep(
        &self,
        chain: Vec<Certificate>,
        key: PrivateKey,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let certificates: String = chain.iter().map(Certificate::to_pem).collect();
        let pem = key.to_pem();
        // With its full capacity from the start, because a growing text leaves copies of the key in
        // memory.
        let mut text = Zeroizing::new(String::with_capacity(pem.len() + certificates.len()));
        text.push_str(&pem);
        text.push_str(&certificates);
        // This also checks that the two belong together, before anything is written.
        let (name, open_issuer) = join_issuer(chain.clone(), key)?;
        files::create_dir(&self.dir, true)?;
        files::write_private(&self.path(&name), &text)?;
        // From the file up to the data directory, because each of the folders may be new.
        for folder in self.dir.ancestors().take(3) {
            files::sync_dir(folder)?;
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name, Arc::new(open_issuer));
        Ok(chain)
    }

    /// Removes a CA and deletes its key.
    pub fn remove(&self, issuer: &Thumbprint) -> Result<(), IssuerError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(issuer);
        let path = self.path(issuer);
        match fs::remove_file(&path) {
            Ok(()) => Ok(files::sync_dir(&self.dir)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(CaError::Write { path, source }.into()),
        }
    }

    /// Issues a certificate for a request that a profile admits, with the addresses of what the
    /// issuer publishes.
    ///
    /// # Errors
    /// When the key is missing or unusable, or the issuer is not valid now.
    pub fn issue(
        &self,
        issuer: &Thumbprint,
        request: &AdmittedRequest,
        serial: Serial,
        publication: Option<&Publication>,
        now: Timestamp,
    ) -> Result<IssuedChain, IssuerError> {
        let open_issuer = self.open_issuer(issuer)?;
        let mut prepared = request.prepare(&open_issuer.issuer, serial, now)?;
        if let Some(publication) = publication {
            prepared = prepared.published_at(publication);
        }
        let token = prepared.lint().map_err(IssueError::from)?;
        Ok(IssuedChain {
            leaf: token.sign()?,
            issuers: std::iter::once(open_issuer.issuer.certificate())
                .chain(&open_issuer.issuers)
                .cloned()
                .collect(),
        })
    }

    fn open_issuer(&self, issuer: &Thumbprint) -> Result<Arc<OpenIssuer>, IssuerError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(open_issuer) = open.get(issuer) {
            return Ok(open_issuer.clone());
        }
        drop(open);
        let path = self.path(issuer);
        if !path.exists() {
            return Err(IssuerError::Missing(path));
        }
        let text = files::read(&path)?;
        let chain = Certificate::parse_pem_bundle(&text)?;
        let (_, open_issuer) = join_issuer(chain, PrivateKey::from_pem(&text, None)?)?;
        let open_issuer = Arc::new(open_issuer);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(*issuer, open_issuer.clone());
        Ok(open_issuer)
    }

    fn path(&self, issuer: &Thumbprint) -> PathBuf {
        self.dir.join(format!("{issuer}.pem"))
    }
}

impl std::fmt::Debug for DeviceIssuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceIssuers")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn join_issuer(
    chain: Vec<Certificate>,
    key: PrivateKey,
) -> Result<(Thumbprint, OpenIssuer), IssuerError> {
    let mut chain = chain.into_iter();
    let certificate = chain.next().ok_or(PemError::NoCertificate)?;
    let open_issuer = OpenIssuer {
        issuer: Issuer::new(certificate, key)?,
        issuers: chain.collect(),
    };
    Ok((open_issuer.issuer.certificate().sha256(), open_issuer))
}

fn read_chain(text: &str) -> Result<Vec<Certificate>, IssuerError> {
    let chain = Certificate::parse_pem_bundle(text)?;
    if chain.len() > MAX_CHAIN {
        return Err(IssuerError::TooLong(chain.len()));
    }
    for pair in chain.windows(2) {
        let is_next = pair[0].is_issued_by_name(&pair[1]);
        if !(is_next && pair[0].is_signed_by(&pair[1])) {
            let subject = pair[0].subject();
            return Err(IssuerError::Broken { subject });
        }
    }
    Ok(chain)
}
