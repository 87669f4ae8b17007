//! `muster ca roll`: a new intermediate beside the old one.
//!
//! The files of the intermediate have fixed names, because guides quote them. So a start copies the
//! old files to `….intermediate.previous.…` and puts the new ones in their place, one after the
//! other. `W/index/roll.json` says that this is not finished; the same command finishes it.

mod root;
mod state;
mod swap;

use std::path::{Path, PathBuf};

use ids::{Thumbprint, Timestamp};
use pki::Certificate;
use zeroize::Zeroizing;

use super::initialize::{self, CaPair, InitOptions};
use super::journal::{IssuedIndex, IssuedLine, Journal};
use super::revocations::Revocations;
use super::{CaDirectory, open_issuer};
use crate::{CaError, RollProblem, files, layout};
pub(super) use root::issuers;
pub use root::{RootRollOptions, RootRollStatus};
use state::{Phase, Rolled, State};

/// A roll as operators see it.
#[derive(Debug, Clone)]
pub struct RollStatus {
    /// What issues now.
    pub current: RolledCa,
    /// What it replaces.
    pub previous: Option<RolledCa>,
    pub started: Option<Timestamp>,
}

/// One of the two intermediates.
#[derive(Debug, Clone)]
pub struct RolledCa {
    pub certificate: Certificate,
    pub path: PathBuf,
    /// How many certificates of it are valid, by the records: neither expired nor revoked.
    pub valid: usize,
}

/// What a new intermediate is made with.
#[derive(Debug, Clone, Default)]
pub struct RollOptions {
    pub key_type: pki::KeyType,
    /// How many days it is valid; `None` is five years, or as long as the root.
    pub days: Option<u32>,
    /// Opens the private key of the root.
    pub root_passphrase: Option<Zeroizing<String>>,
    /// Encrypts the private key of the new intermediate.
    pub passphrase: Option<Zeroizing<String>>,
}

/// Refuses to use CAs whose files may not belong together.
pub(super) fn require_settled(dir: &Path) -> Result<(), CaError> {
    Rolled::Root.require_settled(dir)?;
    Rolled::Intermediate.require_settled(dir)
}

/// What `muster ca roll` rolls.
const THIS: Rolled = Rolled::Intermediate;

impl CaDirectory {
    /// Makes a new intermediate and issues from it from now on. An interrupted start is completed
    /// with the intermediate that it made.
    ///
    /// # Errors
    /// When a roll is in progress, the root's key cannot be used, or a file cannot be written.
    pub fn start_roll(
        dir: &Path,
        options: &RollOptions,
        now: Timestamp,
    ) -> Result<RollStatus, CaError> {
        let mut journal = Journal::open(dir)?;
        Rolled::Root.require_settled(dir)?;
        let mut state = match THIS.state(dir)? {
            None => prepare(dir, options, &mut journal, now)?,
            Some(state) if state.phase == Phase::Starting => state,
            Some(state) if state.phase == Phase::InProgress => {
                return Err(CaError::Roll(RollProblem::InProgress));
            }
            Some(_) => return Err(CaError::Roll(RollProblem::Interrupted)),
        };
        swap::forward(dir, THIS, state.previous)?;
        state.phase = Phase::InProgress;
        THIS.save(dir, &state)?;
        swap::remove(&layout::next_intermediate(dir))?;
        status(dir, &journal, now)
    }

    /// Which intermediate issues, and how many valid certificates each has.
    pub fn roll_status(dir: &Path, now: Timestamp) -> Result<RollStatus, CaError> {
        let journal = Journal::open(dir)?;
        require_settled(dir)?;
        status(dir, &journal, now)
    }

    /// Gives the previous intermediate up: deletes its key and revokes its certificate, which the
    /// next list of the root says.
    ///
    /// # Errors
    /// When certificates of it are still valid and `force` is off.
    pub fn finish_roll(dir: &Path, force: bool, now: Timestamp) -> Result<RollStatus, CaError> {
        let journal = Journal::open(dir)?;
        require_settled(dir)?;
        let kept = layout::previous_intermediate(dir);
        match status(dir, &journal, now)?.previous {
            Some(previous) if previous.valid > 0 && !force => {
                let valid = previous.valid;
                return Err(CaError::Roll(RollProblem::InUse { valid }));
            }
            Some(previous) => {
                Self::supersede(dir, &previous.certificate, now)?;
                THIS.remove_state(dir)?;
            }
            // A process that was killed left the files.
            None if swap::exists(&kept) => {}
            None => return Err(CaError::Roll(RollProblem::NotInProgress)),
        }
        swap::remove(&layout::next_intermediate(dir))?;
        swap::remove(&kept)?;
        status(dir, &journal, now)
    }

    /// Goes back to the previous intermediate, and revokes the certificate of the new one.
    ///
    /// # Errors
    /// When certificates of the new intermediate are valid and `force` is off.
    pub fn abandon_roll(dir: &Path, force: bool, now: Timestamp) -> Result<RollStatus, CaError> {
        let journal = Journal::open(dir)?;
        Rolled::Root.require_settled(dir)?;
        let mut state = THIS
            .state(dir)?
            .ok_or(CaError::Roll(RollProblem::NotInProgress))?;
        match state.phase {
            Phase::Starting => return Err(CaError::Roll(RollProblem::Interrupted)),
            Phase::Abandoning => {}
            Phase::InProgress => {
                let new = status(dir, &journal, now)?.current;
                if new.valid > 0 && !force {
                    let valid = new.valid;
                    return Err(CaError::Roll(RollProblem::NewInUse { valid }));
                }
                Self::supersede(dir, &new.certificate, now)?;
                state.phase = Phase::Abandoning;
                THIS.save(dir, &state)?;
            }
        }
        swap::back(dir, THIS)?;
        swap::remove(&layout::next_intermediate(dir))?;
        swap::remove(&layout::previous_intermediate(dir))?;
        THIS.remove_state(dir)?;
        status(dir, &journal, now)
    }
}

/// Makes the new intermediate and writes it beside the current one. Until the state is saved,
/// nothing has begun, and the next attempt replaces these files.
fn prepare(
    dir: &Path,
    options: &RollOptions,
    journal: &mut Journal,
    now: Timestamp,
) -> Result<State, CaError> {
    let root_paths = layout::root(dir);
    let passphrase = options.root_passphrase.as_ref();
    let passphrase = passphrase.map(|text| text.as_bytes());
    let root = open_issuer(&root_paths.certificate, &root_paths.key, passphrase)?;
    let current = files::read_certificate(&layout::intermediate(dir).certificate)?;
    let init = InitOptions {
        key_type: options.key_type,
        intermediate_days: options.days,
        passphrase: options.passphrase.clone(),
        ..InitOptions::default()
    };
    let made: CaPair = initialize::intermediate(&root, &init, now)?;
    let above = issuers(dir, &made.certificate)?;
    let texts = initialize::ca_texts(&above, &made, &init)?;
    initialize::write_ca(&layout::next_intermediate(dir), &texts)?;
    files::sync_dir(&layout::certs(dir))?;
    journal.append(&[IssuedLine::new(
        &made.certificate,
        "intermediate",
        root.certificate(),
        now,
    )])?;
    let state = State {
        phase: Phase::Starting,
        previous: current.sha256(),
        next: made.certificate.sha256(),
        started: now,
    };
    THIS.save(dir, &state)?;
    Ok(state)
}

/// Ends the rolls of a hierarchy that is replaced.
pub(super) fn forget(dir: &Path) -> Result<(), CaError> {
    for rolled in [Rolled::Root, Rolled::Intermediate] {
        rolled.remove_state(dir)?;
        swap::remove(&rolled.next(dir))?;
        swap::remove(&rolled.previous(dir))?;
    }
    root::remove_cross(dir)
}

/// How many certificates of a CA are valid, by the records.
fn valid(ca: Thumbprint, index: &IssuedIndex, revocations: &Revocations, now: Timestamp) -> usize {
    index
        .issued_by(ca)
        .filter(|found| found.not_after > now)
        .filter(|found| revocations.find(ca, found.serial).is_none())
        .count()
}

fn status(dir: &Path, journal: &Journal, now: Timestamp) -> Result<RollStatus, CaError> {
    let index = journal.index()?;
    let revocations = Revocations::read(dir)?;
    let one = |path: PathBuf| -> Result<RolledCa, CaError> {
        let certificate = files::read_certificate(&path)?;
        let valid = valid(certificate.sha256(), &index, &revocations, now);
        Ok(RolledCa {
            certificate,
            path,
            valid,
        })
    };
    let current = one(layout::intermediate(dir).certificate)?;
    let Some(state) = THIS.state(dir)? else {
        return Ok(RollStatus {
            current,
            previous: None,
            started: None,
        });
    };
    Ok(RollStatus {
        current,
        previous: Some(one(layout::previous_intermediate(dir).certificate)?),
        started: Some(state.started),
    })
}
