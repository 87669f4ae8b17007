//! `muster ca crl`: the list of what a CA of the folder revoked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ids::Timestamp;
use pki::{CrlFields, Issuer, RevokedEntry, build_crl, crl_to_pem};

use super::{Event, Revocations, path};
use crate::directory::journal::{Lock, append_line};
use crate::directory::{CaDirectory, Signer, days, open_issuer, roll};
use crate::{CaError, files, layout};

/// Lists begin this long before they are made, because clocks differ.
const BACKDATED: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Clone, Copy)]
pub struct CrlOptions<'a> {
    pub signer: Signer,
    /// How many days until the next list is there at the latest.
    pub days: u32,
    /// Of the private key of the CA.
    pub passphrase: Option<&'a [u8]>,
}

/// A list that was written.
#[derive(Debug, Clone)]
pub struct WrittenCrl {
    pub path: PathBuf,
    /// The subject of the CA.
    pub issuer: String,
    pub number: u64,
    pub entries: usize,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
}

impl CaDirectory {
    /// Writes the list of a CA of the folder, and that of the one which it replaces while it is
    /// being rolled.
    ///
    /// # Errors
    /// When the CA's key cannot be read, its certificate does not allow lists, or a file cannot be
    /// written.
    pub fn write_crl(
        dir: &Path,
        options: &CrlOptions<'_>,
        now: Timestamp,
    ) -> Result<Vec<WrittenCrl>, CaError> {
        let cas = match options.signer {
            Signer::Root => vec![
                (layout::root(dir), layout::crl(dir).join(ROOT_FILE)),
                (
                    layout::previous_root(dir),
                    layout::crl(dir).join(PREVIOUS_ROOT_FILE),
                ),
            ],
            Signer::Intermediate => vec![
                (
                    layout::intermediate(dir),
                    layout::crl(dir).join(INTERMEDIATE_FILE),
                ),
                (
                    layout::previous_intermediate(dir),
                    layout::crl(dir).join(PREVIOUS_FILE),
                ),
            ],
        };
        if !cas[0].0.certificate.exists() {
            return Err(CaError::NotInitialized {
                dir: dir.to_owned(),
                missing: cas[0].0.certificate.clone(),
            });
        }
        let _lock = Lock::acquire(dir)?;
        roll::require_settled(dir)?;
        files::create_dir(&layout::crl(dir), false)?;
        let mut written = Vec::new();
        for (paths, file) in cas
            .into_iter()
            .filter(|(paths, _)| paths.certificate.exists())
        {
            let issuer = open_issuer(&paths.certificate, &paths.key, options.passphrase)?;
            written.push(write(dir, &issuer, file, options.days, now)?);
        }
        files::sync_dir(&layout::crl(dir))?;
        Ok(written)
    }
}

const ROOT_FILE: &str = "azure-iot-test-only.root.ca.crl.pem";
const PREVIOUS_ROOT_FILE: &str = "azure-iot-test-only.root.ca.previous.crl.pem";
const INTERMEDIATE_FILE: &str = "azure-iot-test-only.intermediate.crl.pem";
const PREVIOUS_FILE: &str = "azure-iot-test-only.intermediate.previous.crl.pem";

fn write(
    dir: &Path,
    issuer: &Issuer,
    file: PathBuf,
    next: u32,
    now: Timestamp,
) -> Result<WrittenCrl, CaError> {
    let ca = issuer.certificate().sha256();
    let revocations = Revocations::read(dir)?;
    let mut revoked: Vec<_> = revocations
        .revoked
        .iter()
        .filter(|((by, _), _)| *by == ca)
        .map(|((_, serial), since)| (*serial, since))
        .collect();
    revoked.sort_unstable_by_key(|(serial, _)| *serial);
    let entries = revoked.iter().map(|(serial, since)| RevokedEntry {
        serial: serial.as_bytes(),
        when: since.when,
        reason: since.reason,
    });
    let number = revocations.numbers.get(&ca).map_or(1, |last| last + 1);
    let fields = CrlFields {
        number,
        this_update: now.minus(BACKDATED).max(issuer.certificate().not_before()),
        next_update: now.plus(days(next)),
        distribution_point: None,
    };
    let der = build_crl(issuer, &fields, entries).map_err(|source| CaError::Issue {
        name: issuer.certificate().subject(),
        source,
    })?;
    // The number is used up before the list exists, so that no two lists have the same.
    append_line(
        &path(dir),
        &Event::List {
            ca,
            number,
            when: now,
        },
    )?;
    files::write_public(&file, &crl_to_pem(&der))?;
    Ok(WrittenCrl {
        path: file,
        issuer: issuer.certificate().subject(),
        number,
        entries: revoked.len(),
        this_update: fields.this_update,
        next_update: fields.next_update,
    })
}
