//! `muster ca init`: makes root and intermediate.

use std::path::{Path, PathBuf};

use ids::Timestamp;
use pki::{
    Certificate, Issuer, KeyType, PrivateKey, Profile, Serial, Subject, Validity, export_pkcs12,
    prepare,
};
use zeroize::Zeroizing;

use super::journal::{IssuedLine, Journal, Lock};
use super::{CaDirectory, days, roll};
use crate::files::Flush;
use crate::layout::{self, CaPaths, INTERMEDIATE_COMMON_NAME, ROOT_COMMON_NAME};
use crate::{CaError, files};

const INTERMEDIATE_DAYS: u32 = 1825;
/// Below the root: the intermediate and an edge device's own CA.
pub(super) const ROOT_PATH_LENGTH: u8 = 2;

/// The files of an existing CA. They are copied into the folder.
#[derive(Debug, Clone)]
pub struct ExternalRoot {
    pub certificate: PathBuf,
    /// Its passphrase is `root_passphrase`, or `passphrase`.
    pub key: PathBuf,
}

/// The options of a new hierarchy. No certificate is valid longer than its issuer, and roots are
/// valid longer than intermediates and leaves.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The type of the two CA keys.
    pub key_type: KeyType,
    /// How many days the root is valid.
    pub root_days: u32,
    /// How many days the intermediate is valid; `None` is five years, or as long as the root
    /// if that is shorter.
    pub intermediate_days: Option<u32>,
    /// An existing CA as root; `None` makes a new one.
    pub external_root: Option<ExternalRoot>,
    /// Encrypts the private keys of root and intermediate.
    pub passphrase: Option<Zeroizing<String>>,
    /// Encrypts the private key of the root, in place of `passphrase`.
    pub root_passphrase: Option<Zeroizing<String>>,
    /// Also writes the intermediate as PKCS#12, with this passphrase, which may be empty.
    pub pfx_passphrase: Option<Zeroizing<String>>,
    /// Replaces an existing hierarchy. The identities that it issued are no longer trusted.
    pub force: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            key_type: KeyType::Ec,
            root_days: 3650,
            intermediate_days: None,
            external_root: None,
            passphrase: None,
            root_passphrase: None,
            pfx_passphrase: None,
            force: false,
        }
    }
}

impl InitOptions {
    fn root_passphrase(&self) -> Option<&Zeroizing<String>> {
        self.root_passphrase.as_ref().or(self.passphrase.as_ref())
    }
}

pub(super) fn make(
    dir: &Path,
    options: &InitOptions,
    now: Timestamp,
) -> Result<CaDirectory, CaError> {
    if !options.force {
        for paths in [layout::root(dir), layout::intermediate(dir)] {
            for path in [&paths.key, &paths.certificate, &paths.chain] {
                files::require_absent(path)?;
            }
        }
    }
    let root = match &options.external_root {
        Some(external) => external_root(external, options)?,
        None => self_signed_root(options, now)?,
    };
    let root_key = key_text(&root, options.root_passphrase())?;
    let root = root.into_issuer()?;
    let made = intermediate(&root, options, now)?;
    let above = [root.certificate().clone()];
    let made_texts = ca_texts(&above, &made, options)?;
    // All keys and certificates are made before a file is written or deleted. Certificates are
    // written last, so that a hierarchy without them is incomplete.
    if options.force {
        let _lock = Lock::acquire(dir)?;
        roll::forget(dir)?;
    }
    files::create_dir(&layout::certs(dir), false)?;
    files::create_dir(&layout::private(dir), true)?;
    record(dir, &root, &made, options, now)?;
    let root_paths = layout::root(dir);
    files::write_private(&root_paths.key, &root_key)?;
    write_ca(&layout::intermediate(dir), &made_texts)?;
    files::write_public(&root_paths.certificate, &root.certificate().to_pem())?;
    files::sync_dir(&layout::certs(dir))?;
    Ok(CaDirectory {
        dir: dir.to_owned(),
        root: root.certificate().clone(),
        above: above.into(),
        issuer: made.into_issuer()?,
    })
}

/// What the files of a CA hold.
pub(super) struct CaTexts {
    key: Zeroizing<String>,
    pfx: Option<Zeroizing<Vec<u8>>>,
    chain: String,
    certificate: String,
}

pub(super) fn ca_texts(
    above: &[Certificate],
    made: &CaPair,
    options: &InitOptions,
) -> Result<CaTexts, CaError> {
    let certificate = made.certificate.to_pem();
    let pfx = options.pfx_passphrase.as_ref().map(|passphrase| {
        let pfx = export_pkcs12(
            &made.name,
            &made.certificate,
            &above.iter().collect::<Vec<_>>(),
            &made.key,
            passphrase,
        );
        pfx.map_err(|source| made.key_error(source))
    });
    Ok(CaTexts {
        key: key_text(made, options.passphrase.as_ref())?,
        pfx: pfx.transpose()?,
        chain: above
            .iter()
            .fold(certificate.clone(), |chain, one| chain + &one.to_pem()),
        certificate,
    })
}

/// Writes the key of an intermediate, then its chain and certificate.
pub(super) fn write_ca(paths: &CaPaths, texts: &CaTexts) -> Result<(), CaError> {
    files::write_private(&paths.key, &texts.key)?;
    if let Some(private) = paths.key.parent() {
        files::sync_dir(private)?;
    }
    if let Some(pfx) = &texts.pfx {
        files::write_private_bytes(&paths.pfx, pfx, Flush::Now)?;
    }
    files::write_public(&paths.chain, &texts.chain)?;
    files::write_public(&paths.certificate, &texts.certificate)
}

fn record(
    dir: &Path,
    root: &Issuer,
    intermediate: &CaPair,
    options: &InitOptions,
    now: Timestamp,
) -> Result<(), CaError> {
    let root = root.certificate();
    let mut lines = Vec::new();
    if options.external_root.is_none() {
        lines.push(IssuedLine::new(root, "root", root, now));
    }
    let certificate = &intermediate.certificate;
    lines.push(IssuedLine::new(certificate, "intermediate", root, now));
    Journal::open(dir)?.append(&lines)
}

/// A CA with its key, in memory.
pub(super) struct CaPair {
    name: String,
    pub(super) certificate: Certificate,
    key: PrivateKey,
}

impl CaPair {
    pub(super) fn new(certificate: Certificate, key: PrivateKey) -> Self {
        Self {
            name: certificate.subject(),
            certificate,
            key,
        }
    }

    /// Another certificate for its key and name, by another CA.
    pub(super) fn certified(
        &self,
        profile: Profile,
        by: &Issuer,
        validity: Validity,
        now: Timestamp,
    ) -> Result<Certificate, CaError> {
        let name = self.certificate.subject_common_name().unwrap_or_default();
        sign(name, profile, Some(by), validity, &self.key, now)
    }

    pub(super) fn into_issuer(self) -> Result<Issuer, CaError> {
        let name = self.name;
        Issuer::new(self.certificate, self.key).map_err(|source| CaError::Issue { name, source })
    }

    fn key_error(&self, source: pki::KeyError) -> CaError {
        CaError::NewKey {
            name: self.name.clone(),
            source,
        }
    }
}

fn external_root(external: &ExternalRoot, options: &InitOptions) -> Result<CaPair, CaError> {
    let certificate = files::read_certificate(&external.certificate)?;
    let passphrase = options.root_passphrase().map(|text| text.as_bytes());
    let key = files::read_key(&external.key, passphrase)?;
    // Before anything is written: whether the two belong together and may issue.
    Issuer::new(certificate.clone(), key.clone()).map_err(|source| CaError::Issuer {
        path: external.certificate.clone(),
        source,
    })?;
    Ok(CaPair::new(certificate, key))
}

fn self_signed_root(options: &InitOptions, now: Timestamp) -> Result<CaPair, CaError> {
    let profile = Profile::Root {
        path_length: ROOT_PATH_LENGTH,
    };
    let validity = Validity::Exactly(days(options.root_days));
    new_ca(
        ROOT_COMMON_NAME,
        options.key_type,
        profile,
        None,
        validity,
        now,
    )
}

pub(super) fn intermediate(
    root: &Issuer,
    options: &InitOptions,
    now: Timestamp,
) -> Result<CaPair, CaError> {
    // An external root may allow fewer CAs below it; then edge CAs cannot be issued.
    let below_root = root.certificate().path_length();
    let allowed = below_root.map_or(ROOT_PATH_LENGTH - 1, |length| {
        u8::try_from(length.saturating_sub(1)).unwrap_or(u8::MAX)
    });
    let profile = Profile::Intermediate {
        path_length: allowed.min(ROOT_PATH_LENGTH - 1),
    };
    let validity = options
        .intermediate_days
        .map_or(Validity::UpTo(days(INTERMEDIATE_DAYS)), |asked| {
            Validity::Exactly(days(asked))
        });
    let (kind, root) = (options.key_type, Some(root));
    new_ca(INTERMEDIATE_COMMON_NAME, kind, profile, root, validity, now)
}

pub(super) fn new_ca(
    name: &str,
    key_type: KeyType,
    profile: Profile,
    issuer: Option<&Issuer>,
    validity: Validity,
    now: Timestamp,
) -> Result<CaPair, CaError> {
    let key = PrivateKey::generate(key_type).map_err(|source| CaError::NewKey {
        name: name.to_owned(),
        source,
    })?;
    Ok(CaPair {
        name: name.to_owned(),
        certificate: sign(name, profile, issuer, validity, &key, now)?,
        key,
    })
}

fn sign(
    name: &str,
    profile: Profile,
    issuer: Option<&Issuer>,
    validity: Validity,
    key: &PrivateKey,
    now: Timestamp,
) -> Result<Certificate, CaError> {
    let signed = Subject::common_name(name).and_then(|subject| {
        let serial = Serial::random()?;
        prepare(profile, &subject, issuer, validity, serial, now)?
            .lint()?
            .sign(key)
    });
    signed.map_err(|source| CaError::Issue {
        name: name.to_owned(),
        source,
    })
}

pub(super) fn key_text(
    ca: &CaPair,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Zeroizing<String>, CaError> {
    let Some(passphrase) = passphrase else {
        return Ok(ca.key.to_pem());
    };
    let text = ca.key.to_encrypted_pem(passphrase.as_bytes());
    text.map_err(|source| ca.key_error(source))
}
