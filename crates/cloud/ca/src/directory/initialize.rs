//! `muster ca init`: makes root and intermediate.

use std::path::Path;

use ids::Timestamp;
use pki::{Certificate, Issuer, PrivateKey, Profile, Serial, Subject, Validity, prepare};
use zeroize::Zeroizing;

use super::{CaDirectory, InitOptions, days};
use crate::layout::{self, INTERMEDIATE_COMMON_NAME, ROOT_COMMON_NAME};
use crate::{CaError, files};

const INTERMEDIATE_DAYS: u32 = 1825;
/// Below the root: the intermediate and an edge device's own CA.
const ROOT_PATH_LENGTH: u8 = 2;

pub(super) fn make(
    dir: &Path,
    options: &InitOptions,
    now: Timestamp,
) -> Result<CaDirectory, CaError> {
    let (root_paths, intermediate_paths) = (layout::root(dir), layout::intermediate(dir));
    if !options.force {
        for paths in [&root_paths, &intermediate_paths] {
            for path in [&paths.key, &paths.certificate, &paths.chain] {
                files::require_absent(path)?;
            }
        }
    }
    let root = self_signed_root(options, now)?;
    let root_certificate = root.certificate.clone();
    let root_key = key_text(&root, options)?;
    let by_root = root.into_issuer()?;
    let intermediate = intermediate(&by_root, options, now)?;
    let intermediate_key = key_text(&intermediate, options)?;

    // All keys and certificates are made before a file is written. Certificates are written last,
    // so that a hierarchy without them is incomplete.
    files::create_dir(&layout::certs(dir), false)?;
    files::create_dir(&layout::private(dir), true)?;
    files::write_private(&root_paths.key, &root_key)?;
    files::write_private(&intermediate_paths.key, &intermediate_key)?;
    files::sync_dir(&layout::private(dir))?;
    let (root_pem, pem) = (root_certificate.to_pem(), intermediate.certificate.to_pem());
    files::write_public(&root_paths.certificate, &root_pem)?;
    files::write_public(&intermediate_paths.chain, &format!("{pem}{root_pem}"))?;
    files::write_public(&intermediate_paths.certificate, &pem)?;
    files::sync_dir(&layout::certs(dir))?;
    Ok(CaDirectory {
        dir: dir.to_owned(),
        root: root_certificate,
        issuer: intermediate.into_issuer()?,
    })
}

/// A new CA that is not written yet.
struct NewCa {
    name: &'static str,
    certificate: Certificate,
    key: PrivateKey,
}

impl NewCa {
    fn into_issuer(self) -> Result<Issuer, CaError> {
        let name = self.name.to_owned();
        Issuer::new(self.certificate, self.key).map_err(|source| CaError::Issue { name, source })
    }
}

fn self_signed_root(options: &InitOptions, now: Timestamp) -> Result<NewCa, CaError> {
    let profile = Profile::Root {
        path_length: ROOT_PATH_LENGTH,
    };
    let validity = Validity::Exactly(days(options.root_days));
    let key = new_key(ROOT_COMMON_NAME, options)?;
    new_ca(ROOT_COMMON_NAME, key, profile, None, validity, now)
}

fn intermediate(root: &Issuer, options: &InitOptions, now: Timestamp) -> Result<NewCa, CaError> {
    let profile = Profile::Intermediate {
        path_length: ROOT_PATH_LENGTH - 1,
    };
    let validity = options
        .intermediate_days
        .map_or(Validity::UpTo(days(INTERMEDIATE_DAYS)), |asked| {
            Validity::Exactly(days(asked))
        });
    let key = new_key(INTERMEDIATE_COMMON_NAME, options)?;
    let root = Some(root);
    new_ca(INTERMEDIATE_COMMON_NAME, key, profile, root, validity, now)
}

fn new_key(name: &str, options: &InitOptions) -> Result<PrivateKey, CaError> {
    PrivateKey::generate(options.key_type).map_err(|source| CaError::NewKey {
        name: name.to_owned(),
        source,
    })
}

fn new_ca(
    name: &'static str,
    key: PrivateKey,
    profile: Profile,
    issuer: Option<&Issuer>,
    validity: Validity,
    now: Timestamp,
) -> Result<NewCa, CaError> {
    let signed = Subject::common_name(name).and_then(|subject| {
        let serial = Serial::random()?;
        prepare(profile, &subject, issuer, validity, serial, now)?
            .lint()?
            .sign(&key)
    });
    let certificate = signed.map_err(|source| CaError::Issue {
        name: name.to_owned(),
        source,
    })?;
    Ok(NewCa {
        name,
        certificate,
        key,
    })
}

fn key_text(ca: &NewCa, options: &InitOptions) -> Result<Zeroizing<String>, CaError> {
    let Some(passphrase) = &options.passphrase else {
        return Ok(ca.key.to_pem());
    };
    ca.key
        .to_encrypted_pem(passphrase.as_bytes())
        .map_err(|source| CaError::NewKey {
            name: ca.name.to_owned(),
            source,
        })
}
