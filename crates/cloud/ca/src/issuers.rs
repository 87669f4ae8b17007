//! The CAs that issue certificates to devices as they register: made here or brought along, kept
//! with their keys in `<data-dir>/ca/issuers`, one file each.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ids::{Thumbprint, Timestamp};
use pki::{
    Certificate, IssueError, Issuer, KeyError, PemError, PrivateKey, Profile, ProvenRequest,
    Serial, Subject, UnusableCaCertificate, Validity, prepare, usable_ca_certificate,
};
use zeroize::Zeroizing;

use crate::directory::days;
use crate::server::{new_key, sign};
use crate::{CaDirectory, CaError, files};

/// Most certificates of an imported chain.
const MAX_CHAIN: usize = 5;

/// Why an issuer is not made, or does not issue.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The certificates cannot be read.
    #[error("the certificate chain cannot be read")]
    Chain(#[from] PemError),
    /// There are too many of them.
    #[error("the chain has {0} certificates; {MAX_CHAIN} at most are kept")]
    TooLong(usize),
    /// The chain is none.
    #[error(
        "{subject} is not signed by the certificate that follows it; give the issuing certificate \
         first, then the one that issued it"
    )]
    Broken {
        /// The certificate that was signed by another one.
        subject: String,
    },
    /// Nothing that it issues would be believed.
    #[error("the certificate {problem}")]
    Unusable { problem: UnusableCaCertificate },
    /// The private key cannot be read.
    #[error("the private key cannot be read")]
    Key(#[from] KeyError),
    /// Certificate and key do not belong together, or nothing can be signed.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The key is not where it was put.
    #[error("{} is missing: the key of this issuer; restore it from a backup of the data directory, or delete the issuer and make another", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read or written, or no key can be made.
    #[error(transparent)]
    File(#[from] CaError),
}

/// Holds the keys of a server's device issuers, found by the SHA-256 of their certificates.
pub struct DeviceIssuers {
    dir: PathBuf,
    open: RwLock<HashMap<Thumbprint, Arc<Held>>>,
}

struct Held {
    issuer: Issuer,
    above: Vec<Certificate>,
}

/// What a device is handed.
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

    /// The leaf, its issuer, and what is above that, as far as it is known.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }
}

impl DeviceIssuers {
    /// Those of a data directory. Nothing is read before it is needed.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("ca").join("issuers"),
            open: RwLock::default(),
        }
    }

    /// Makes a CA that signs itself, on P-256, and keeps it. Returns its certificate when it is
    /// durable.
    pub fn make(
        &self,
        common_name: &str,
        life_days: u16,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let key = new_key(common_name)?;
        let profile = Profile::Root { path_length: 0 };
        let certificate = sign(profile, common_name, None, life_days.into(), &key, now)?;
        self.keep(vec![certificate], key)
    }

    /// Keeps a CA that was made elsewhere: its certificate and those above it, PEM, and its private
    /// key, PEM. Returns its chain when it is durable.
    pub fn import(
        &self,
        chain: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let chain = read_chain(chain)?;
        if let Some(issuer) = chain.first() {
            usable_ca_certificate(issuer, now)
                .map_err(|problem| IssuerError::Unusable { problem })?;
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
        // All of the room at once: a text that grows leaves copies of the key behind, which nobody
        // wipes.
        let mut text = Zeroizing::new(String::with_capacity(pem.len() + certificates.len()));
        text.push_str(&pem);
        text.push_str(&certificates);
        // Also says whether the two belong together, before anything is written.
        let (name, held) = hold(chain.clone(), key)?;
        files::create_dir(&self.dir, true)?;
        files::write_private(&self.path(&name), &text)?;
        // From the file up to the data directory: each of the folders may be new.
        for folder in self.dir.ancestors().take(3) {
            files::sync_dir(folder)?;
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name, Arc::new(held));
        Ok(chain)
    }

    /// Forgets a CA and deletes its key.
    pub fn remove(&self, authority: &Thumbprint) -> Result<(), IssuerError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(authority);
        let path = self.path(authority);
        match fs::remove_file(&path) {
            Ok(()) => Ok(files::sync_dir(&self.dir)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(CaError::Write { path, source }.into()),
        }
    }

    /// Issues a certificate for a proven request. It lives `life_days`, or as long as its issuer
    /// where that is shorter.
    ///
    /// # Errors
    /// When the key is missing or unusable, or the issuer is not valid now.
    pub fn issue(
        &self,
        authority: &Thumbprint,
        request: &ProvenRequest,
        life_days: u16,
        now: Timestamp,
    ) -> Result<IssuedChain, IssuerError> {
        let held = self.held(authority)?;
        let subject = Subject::registration(request.registration_id())?;
        let validity = Validity::UpTo(days(life_days.into()));
        let issuer = Some(&held.issuer);
        let serial = Serial::random()?;
        let prepared = prepare(
            Profile::EdgeIdentity,
            &subject,
            issuer,
            validity,
            serial,
            now,
        )?;
        let token = prepared.lint().map_err(IssueError::from)?;
        Ok(IssuedChain {
            leaf: token.sign_for(request)?,
            issuers: std::iter::once(held.issuer.certificate())
                .chain(&held.above)
                .cloned()
                .collect(),
        })
    }

    fn held(&self, authority: &Thumbprint) -> Result<Arc<Held>, IssuerError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get(authority) {
            return Ok(held.clone());
        }
        drop(open);
        let path = self.path(authority);
        if !path.exists() {
            return Err(IssuerError::Missing(path));
        }
        let text = files::read(&path)?;
        let chain = Certificate::parse_pem_bundle(&text)?;
        let (_, held) = hold(chain, PrivateKey::from_pem(&text, None)?)?;
        let held = Arc::new(held);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(*authority, held.clone());
        Ok(held)
    }

    fn path(&self, authority: &Thumbprint) -> PathBuf {
        self.dir.join(format!("{authority}.pem"))
    }
}

impl std::fmt::Debug for DeviceIssuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceIssuers")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn hold(chain: Vec<Certificate>, key: PrivateKey) -> Result<(Thumbprint, Held), IssuerError> {
    let mut chain = chain.into_iter();
    let certificate = chain.next().ok_or(PemError::NoCertificate)?;
    let held = Held {
        issuer: Issuer::new(certificate, key)?,
        above: chain.collect(),
    };
    Ok((held.issuer.certificate().sha256(), held))
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

/// A CA's files, read so that it can be handed to a server.
pub struct PortableIssuer {
    /// Its certificate and those above it, PEM.
    pub chain: String,
    /// Its private key, PEM, not encrypted.
    pub key: Zeroizing<String>,
}

impl PortableIssuer {
    /// Reads a certificate file, with the chain in it, and a key file.
    pub fn read(
        certificate: &Path,
        key: &Path,
        passphrase: Option<&[u8]>,
    ) -> Result<Self, CaError> {
        let bytes = files::read_bytes(certificate)?;
        let chain = Certificate::read_all(&bytes).map_err(|source| CaError::Certificate {
            path: certificate.to_owned(),
            source,
        })?;
        Ok(Self {
            chain: chain.iter().map(Certificate::to_pem).collect(),
            key: files::read_key(key, passphrase)?.to_pem(),
        })
    }

    /// Reads the intermediate of a hierarchy that `muster ca` made, with the root above it.
    pub fn of_directory(dir: &Path, passphrase: Option<&[u8]>) -> Result<Self, CaError> {
        let opened = CaDirectory::open(dir, passphrase)?;
        let chain = [opened.intermediate().to_pem(), opened.root().to_pem()];
        Ok(Self {
            chain: chain.concat(),
            key: files::read_key(&opened.intermediate_paths().key, passphrase)?.to_pem(),
        })
    }
}
