//! The CAs that issue certificates to devices as they register: made here or imported. Each is one
//! file with its key in `<data-dir>/ca/issuers`.

mod error;
mod key_file;
mod log_key;
mod portable;
mod published;
mod sealing;

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ids::{Thumbprint, Timestamp};
use pkcs11::{AllowedLibraries, Libraries, TokenKeyReference};
use pki::log::LogSigner;
use pki::{
    AdmittedRequest, Certificate, IssueError, Issuer, PemError, PrivateKey, Profile, PublicKey,
    Publication, Serial, SignatureScheme, Signer, usable_ca_certificate,
};
use zeroize::Zeroizing;

use crate::sign::{new_key, sign};
use crate::{CaError, files};
pub use error::IssuerError;
pub use key_file::KeyStorage;
use key_file::StoredKey;
pub use portable::PortableIssuer;
use published::Published;
pub use sealing::SealOutcome;

/// The longest imported chain.
const MAX_CHAIN: usize = 5;

/// The device issuers of a server. Each is found by the SHA-256 of its certificate.
pub struct DeviceIssuers {
    dir: PathBuf,
    published: Published,
    passphrase: Option<Zeroizing<String>>,
    libraries: Libraries,
    open: RwLock<HashMap<Thumbprint, Arc<OpenIssuer>>>,
    log_signer: Mutex<Option<Arc<LogSigner>>>,
}

/// The CA of an issuer, with its key.
pub struct OpenIssuer {
    issuer: Issuer,
    issuers: Vec<Certificate>,
}

impl OpenIssuer {
    /// Whether a token signs, which may take seconds and must not hold up other work.
    #[must_use]
    pub fn is_in_token(&self) -> bool {
        self.issuer.is_in_token()
    }

    /// Issues a certificate for a request that a profile admits, with the addresses of what the
    /// issuer publishes.
    ///
    /// # Errors
    /// When the key is unusable, or the issuer is not valid now.
    pub fn issue(
        &self,
        request: &AdmittedRequest,
        serial: Serial,
        publication: Option<&Publication>,
        now: Timestamp,
    ) -> Result<IssuedChain, IssuerError> {
        let mut prepared = request.prepare(&self.issuer, serial, now)?;
        if let Some(publication) = publication {
            prepared = prepared.published_at(publication);
        }
        let token = prepared.lint().map_err(IssueError::from)?;
        Ok(IssuedChain {
            leaf: token.sign()?,
            issuers: std::iter::once(self.issuer.certificate())
                .chain(&self.issuers)
                .cloned()
                .collect(),
        })
    }
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

/// Where issuing keys may be, and what seals their files.
#[derive(Default)]
pub struct IssuerKeyOptions {
    /// The PKCS#11 libraries that may be loaded.
    pub libraries: AllowedLibraries,
    /// Seals key files and PINs.
    pub passphrase: Option<Zeroizing<String>>,
}

/// A CA certificate and its key, or a new CA, whose key is in a token.
pub struct TokenIssuer {
    /// The key in the token.
    pub key: TokenKeyReference,
    /// The certificate of the key with its issuers, PEM. Without it, the key signs its own.
    pub chain: Option<String>,
    /// The common name of a certificate that the key signs itself.
    pub common_name: String,
    /// How long that certificate is valid.
    pub days: u16,
}

impl DeviceIssuers {
    /// The issuers of a data directory, with plain key files. A file is read when it is first
    /// needed.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        Self::with(data_dir, IssuerKeyOptions::default())
    }

    /// The issuers of a data directory.
    #[must_use]
    pub fn with(data_dir: &Path, options: IssuerKeyOptions) -> Self {
        Self {
            dir: data_dir.join("ca").join("issuers"),
            published: Published::default(),
            passphrase: options.passphrase,
            libraries: Libraries::new(options.libraries),
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
        self.keep(vec![certificate], StoredKey::Here(key))
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
        let chain = read_usable_chain(chain, path_length, now)?;
        let key = PrivateKey::from_pem(key, None)?;
        self.keep(chain, StoredKey::Here(key))
    }

    /// Uses a CA whose key is in a token. The key signs once before this returns its chain, so that
    /// token, PIN, key and certificate are known to fit.
    pub fn use_token(
        &self,
        issuer: TokenIssuer,
        path_length: u8,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let chain = match issuer.chain {
            Some(chain) => {
                let chain = read_usable_chain(&chain, path_length, now)?;
                let first = chain.first().ok_or(PemError::NoCertificate)?;
                let public = public_key(first)?;
                let signer = self.libraries.signer(issuer.key.clone(), public)?;
                prove(&signer, first)?;
                chain
            }
            None => {
                let signer = self.libraries.new_signer(issuer.key.clone())?;
                let profile = Profile::Root { path_length };
                let (name, days) = (issuer.common_name.as_str(), issuer.days.into());
                vec![sign(profile, name, None, days, &signer, now)?]
            }
        };
        self.keep(chain, StoredKey::Token(issuer.key))
    }

    fn keep(
        &self,
        chain: Vec<Certificate>,
        key: StoredKey,
    ) -> Result<Vec<Certificate>, IssuerError> {
        let text = key.to_text(&chain, self.passphrase.as_deref())?;
        // This also checks that the two belong together, before anything is written.
        let (name, open_issuer) = self.join_issuer(chain.clone(), key)?;
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

    /// Where the key of an issuer is.
    pub fn key_storage(&self, issuer: &Thumbprint) -> Result<KeyStorage, IssuerError> {
        let text = files::read(&self.existing(issuer)?)?;
        Ok(key_file::storage(&text))
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

    /// The CA of an issuer, with its key.
    ///
    /// # Errors
    /// When the key is missing or cannot be opened.
    pub fn open_issuer(&self, issuer: &Thumbprint) -> Result<Arc<OpenIssuer>, IssuerError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(open_issuer) = open.get(issuer) {
            return Ok(open_issuer.clone());
        }
        drop(open);
        let text = files::read(&self.existing(issuer)?)?;
        let (key, chain) = key_file::read(&text, self.passphrase.as_deref())?;
        let (_, open_issuer) = self.join_issuer(chain, key)?;
        let open_issuer = Arc::new(open_issuer);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(*issuer, open_issuer.clone());
        Ok(open_issuer)
    }

    fn existing(&self, issuer: &Thumbprint) -> Result<PathBuf, IssuerError> {
        let path = self.path(issuer);
        match path.exists() {
            true => Ok(path),
            false => Err(IssuerError::Missing(path)),
        }
    }

    fn join_issuer(
        &self,
        chain: Vec<Certificate>,
        key: StoredKey,
    ) -> Result<(Thumbprint, OpenIssuer), IssuerError> {
        let mut chain = chain.into_iter();
        let certificate = chain.next().ok_or(PemError::NoCertificate)?;
        let signer = match key {
            StoredKey::Here(key) => key.into(),
            StoredKey::Token(key) => {
                let public = public_key(&certificate)?;
                self.libraries.signer(key, public)?
            }
        };
        let open_issuer = OpenIssuer {
            issuer: Issuer::new(certificate, signer)?,
            issuers: chain.collect(),
        };
        Ok((open_issuer.issuer.certificate().sha256(), open_issuer))
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

fn public_key(certificate: &Certificate) -> Result<PublicKey, IssuerError> {
    PublicKey::of_certificate(certificate).ok_or_else(|| IssuerError::KeyKind {
        subject: certificate.subject(),
    })
}

/// Has the key sign once, and verifies that with the certificate.
fn prove(signer: &Signer, certificate: &Certificate) -> Result<(), IssuerError> {
    const MESSAGE: &[u8] = b"muster: the key of an issuer is used";
    let scheme = SignatureScheme::for_issuing(signer.public_key().kind());
    let signature = signer.sign(scheme, MESSAGE).map_err(IssueError::Signing)?;
    match certificate.verifies(MESSAGE, &signature, scheme) {
        true => Ok(()),
        false => Err(IssuerError::OtherKey {
            subject: certificate.subject(),
        }),
    }
}

fn read_usable_chain(
    text: &str,
    path_length: u8,
    now: Timestamp,
) -> Result<Vec<Certificate>, IssuerError> {
    let chain = read_chain(text)?;
    if let Some(issuer) = chain.first() {
        usable_ca_certificate(issuer, now).map_err(|problem| IssuerError::Unusable { problem })?;
        let own = issuer.path_length();
        if own.is_some_and(|own| own < u32::from(path_length)) {
            return Err(IssuerError::PathLength);
        }
    }
    Ok(chain)
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
