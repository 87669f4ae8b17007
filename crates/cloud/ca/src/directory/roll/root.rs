//! `muster ca roll root`: a new root beside the old one, and the two vouch for each other.
//!
//! The new root has the name of the old one and another key, as RFC 4210 4.4 has it: certificates
//! by which roots certify each other are then self-issued, and no path length counts them. What is
//! below either root leads to both, by the cross-certificate in its chain.

use std::path::Path;

use ids::{Thumbprint, Timestamp};
use pki::{Certificate, Issuer, Profile, Validity};
use zeroize::Zeroizing;

use super::state::{Phase, Rolled, State};
use super::{RolledCa, require_settled, swap, valid};
use crate::directory::initialize::{self, CaPair, ROOT_PATH_LENGTH};
use crate::directory::journal::{IssuedLine, Journal};
use crate::directory::revocations::Revocations;
use crate::directory::{CaDirectory, days, open_issuer};
use crate::layout::CrossPaths;
use crate::{CaError, RollProblem, files, layout};

const THIS: Rolled = Rolled::Root;
/// The name of a cross-certificate in the records.
const CROSS: &str = "cross";

/// What a new root is made with.
#[derive(Debug, Clone)]
pub struct RootRollOptions {
    pub key_type: pki::KeyType,
    /// How many days it is valid.
    pub days: u32,
    /// Opens the private key of the root, and encrypts that of the new one.
    pub passphrase: Option<Zeroizing<String>>,
}

impl Default for RootRollOptions {
    fn default() -> Self {
        Self {
            key_type: pki::KeyType::Ec,
            days: 3650,
            passphrase: None,
        }
    }
}

/// A roll of the root as operators see it.
#[derive(Debug, Clone)]
pub struct RootRollStatus {
    /// The root that issues. Valid are certificates of intermediates below it.
    pub current: RolledCa,
    /// What it replaces.
    pub previous: Option<RolledCa>,
    /// By which certificates the two vouch for each other.
    pub cross: Option<CrossPaths>,
    pub started: Option<Timestamp>,
}

/// The certificates above an intermediate, in order: the root, or while that is rolled the
/// cross-certificate of the root that issued it, and the other root: so the path to either is there.
pub(in crate::directory) fn issuers(
    dir: &Path,
    intermediate: &Certificate,
) -> Result<Vec<Certificate>, CaError> {
    let root = files::read_certificate(&layout::root(dir).certificate)?;
    match THIS.state(dir)?.map(|state| state.phase) {
        None | Some(Phase::Abandoning) => return Ok(vec![root]),
        Some(Phase::Starting | Phase::InProgress) => {}
    }
    let cross = layout::cross(dir);
    Ok(match intermediate.is_signed_by(&root) {
        true => vec![
            files::read_certificate(&cross.new_by_previous)?,
            files::read_certificate(&layout::previous_root(dir).certificate)?,
        ],
        false => vec![files::read_certificate(&cross.previous_by_new)?, root],
    })
}

impl CaDirectory {
    /// Makes a new root and the two cross-certificates. An interrupted start is completed with the
    /// root that it made.
    ///
    /// # Errors
    /// When a roll of the root is in progress, its key cannot be used, its name is not a common
    /// name alone, or a file cannot be written.
    pub fn start_root_roll(
        dir: &Path,
        options: &RootRollOptions,
        now: Timestamp,
    ) -> Result<RootRollStatus, CaError> {
        let mut journal = Journal::open(dir)?;
        Rolled::Intermediate.require_settled(dir)?;
        let mut state = match THIS.state(dir)? {
            None => prepare(dir, options, &mut journal, now)?,
            Some(state) => match state.phase {
                Phase::Starting => state,
                Phase::InProgress => return Err(CaError::Roll(RollProblem::RootInProgress)),
                Phase::Abandoning => return Err(CaError::Roll(RollProblem::RootInterrupted)),
            },
        };
        swap::forward(dir, THIS, state.previous)?;
        write_chains(dir)?;
        state.phase = Phase::InProgress;
        THIS.save(dir, &state)?;
        swap::remove(&layout::next_root(dir))?;
        status(dir, &journal, now)
    }

    /// Which root issues, and how many valid certificates are below each.
    pub fn root_roll_status(dir: &Path, now: Timestamp) -> Result<RootRollStatus, CaError> {
        let journal = Journal::open(dir)?;
        require_settled(dir)?;
        status(dir, &journal, now)
    }

    /// Gives the previous root up: deletes its key, and revokes the certificate by which the new
    /// one vouches for it, which the next list of the root says.
    ///
    /// # Errors
    /// When the intermediate, or certificates that are valid, are of the previous root and `force`
    /// is off.
    pub fn finish_root_roll(
        dir: &Path,
        force: bool,
        now: Timestamp,
    ) -> Result<RootRollStatus, CaError> {
        let journal = Journal::open(dir)?;
        require_settled(dir)?;
        let kept = layout::previous_root(dir);
        match status(dir, &journal, now)?.previous {
            Some(previous) => {
                let issues = intermediate(dir)?.is_signed_by(&previous.certificate);
                if (issues || previous.valid > 0) && !force {
                    let valid = previous.valid;
                    return Err(CaError::Roll(RollProblem::RootInUse { valid }));
                }
                let cross = files::read_certificate(&layout::cross(dir).previous_by_new)?;
                Self::supersede(dir, &cross, now)?;
                THIS.remove_state(dir)?;
            }
            // A process that was killed left the files.
            None if swap::exists(&kept) => {}
            None => return Err(CaError::Roll(RollProblem::RootNotInProgress)),
        }
        write_chains(dir)?;
        remove_cross(dir)?;
        swap::remove(&layout::next_root(dir))?;
        swap::remove(&kept)?;
        status(dir, &journal, now)
    }

    /// Goes back to the previous root, and revokes the certificate by which it vouches for the new
    /// one.
    ///
    /// # Errors
    /// When the intermediate is of the new root.
    pub fn abandon_root_roll(dir: &Path, now: Timestamp) -> Result<RootRollStatus, CaError> {
        let journal = Journal::open(dir)?;
        Rolled::Intermediate.require_settled(dir)?;
        let state = THIS.state(dir)?;
        let mut state = state.ok_or(CaError::Roll(RollProblem::RootNotInProgress))?;
        match state.phase {
            Phase::Starting => return Err(CaError::Roll(RollProblem::RootInterrupted)),
            Phase::Abandoning => {}
            Phase::InProgress => {
                let new = status(dir, &journal, now)?.current;
                if intermediate(dir)?.is_signed_by(&new.certificate) || new.valid > 0 {
                    return Err(CaError::Roll(RollProblem::NewRootInUse));
                }
                let cross = files::read_certificate(&layout::cross(dir).new_by_previous)?;
                Self::supersede(dir, &cross, now)?;
                state.phase = Phase::Abandoning;
                THIS.save(dir, &state)?;
            }
        }
        swap::back(dir, THIS)?;
        write_chains(dir)?;
        remove_cross(dir)?;
        swap::remove(&layout::next_root(dir))?;
        swap::remove(&layout::previous_root(dir))?;
        THIS.remove_state(dir)?;
        status(dir, &journal, now)
    }
}

fn intermediate(dir: &Path) -> Result<Certificate, CaError> {
    files::read_certificate(&layout::intermediate(dir).certificate)
}

/// Makes the new root and the cross-certificates. Until the state is saved, nothing has begun, and
/// the next attempt replaces these files.
fn prepare(
    dir: &Path,
    options: &RootRollOptions,
    journal: &mut Journal,
    now: Timestamp,
) -> Result<State, CaError> {
    let paths = layout::root(dir);
    let passphrase = options.passphrase.as_ref();
    let old = open_issuer(
        &paths.certificate,
        &paths.key,
        passphrase.map(|text| text.as_bytes()),
    )?;
    let name = old.certificate().subject_common_name().unwrap_or_default();
    let path_length = old.certificate().path_length();
    let path_length = path_length.map_or(ROOT_PATH_LENGTH, |length| {
        u8::try_from(length).unwrap_or(u8::MAX)
    });
    let (profile, key_type) = (Profile::Root { path_length }, options.key_type);
    let validity = Validity::Exactly(days(options.days));
    let new = initialize::new_ca(name, key_type, profile, None, validity, now)?;
    if new.certificate.subject_der() != old.certificate().subject_der() {
        return Err(CaError::Roll(RollProblem::RootName));
    }
    let old_key = files::read_key(&paths.key, passphrase.map(|text| text.as_bytes()))?;
    let previous = CaPair::new(old.certificate().clone(), old_key);
    let new_by_previous = cross_certificate(&new, &old, path_length, now)?;
    let key = initialize::key_text(&new, passphrase)?;
    let next = layout::next_root(dir);
    files::write_private(&next.key, &key)?;
    files::sync_dir(&layout::private(dir))?;
    let certificate = new.certificate.clone();
    let new = new.into_issuer()?;
    let previous_by_new = cross_certificate(&previous, &new, path_length, now)?;
    let cross = layout::cross(dir);
    files::write_public(&cross.new_by_previous, &new_by_previous.to_pem())?;
    files::write_public(&cross.previous_by_new, &previous_by_new.to_pem())?;
    files::write_public(&next.certificate, &certificate.to_pem())?;
    files::sync_dir(&layout::certs(dir))?;
    journal.append(&[
        IssuedLine::new(&certificate, "root", &certificate, now),
        IssuedLine::new(&new_by_previous, CROSS, old.certificate(), now),
        IssuedLine::new(&previous_by_new, CROSS, &certificate, now),
    ])?;
    let state = State {
        phase: Phase::Starting,
        previous: old.certificate().sha256(),
        next: certificate.sha256(),
        started: now,
    };
    THIS.save(dir, &state)?;
    Ok(state)
}

/// The key of a root, certified by another one, for as long as both are valid.
fn cross_certificate(
    root: &CaPair,
    by: &Issuer,
    path_length: u8,
    now: Timestamp,
) -> Result<Certificate, CaError> {
    let profile = Profile::CrossCertificate { path_length };
    let left = root.certificate.not_after().since(now);
    root.certified(profile, by, Validity::UpTo(left), now)
}

/// Writes the chains of the intermediates, which may lead to other roots now.
fn write_chains(dir: &Path) -> Result<(), CaError> {
    for paths in [
        layout::intermediate(dir),
        layout::previous_intermediate(dir),
    ] {
        if !paths.certificate.exists() {
            continue;
        }
        let certificate = files::read_certificate(&paths.certificate)?;
        let above = issuers(dir, &certificate)?;
        let chain = std::iter::once(&certificate).chain(&above);
        let chain: String = chain.map(Certificate::to_pem).collect();
        files::write_public(&paths.chain, &chain)?;
    }
    files::sync_dir(&layout::certs(dir))
}

pub(super) fn remove_cross(dir: &Path) -> Result<(), CaError> {
    let cross = layout::cross(dir);
    swap::remove_file(&cross.new_by_previous)?;
    swap::remove_file(&cross.previous_by_new)
}

fn status(dir: &Path, journal: &Journal, now: Timestamp) -> Result<RootRollStatus, CaError> {
    let index = journal.index()?;
    let revocations = Revocations::read(dir)?;
    let mut intermediates = Vec::new();
    for paths in [
        layout::intermediate(dir),
        layout::previous_intermediate(dir),
    ] {
        if paths.certificate.exists() {
            intermediates.push(files::read_certificate(&paths.certificate)?);
        }
    }
    let valid_of = |ca: Thumbprint| valid(ca, &index, &revocations, now);
    let one = |rolled: crate::CaPaths| -> Result<RolledCa, CaError> {
        let path = rolled.certificate;
        let certificate = files::read_certificate(&path)?;
        let below = intermediates.iter();
        let below = below.filter(|one| one.is_signed_by(&certificate));
        Ok(RolledCa {
            valid: below.map(|one| valid_of(one.sha256())).sum(),
            certificate,
            path,
        })
    };
    let current = one(layout::root(dir))?;
    let Some(state) = THIS.state(dir)? else {
        return Ok(RootRollStatus {
            current,
            previous: None,
            cross: None,
            started: None,
        });
    };
    Ok(RootRollStatus {
        current,
        previous: Some(one(layout::previous_root(dir))?),
        cross: Some(layout::cross(dir)),
        started: Some(state.started),
    })
}
