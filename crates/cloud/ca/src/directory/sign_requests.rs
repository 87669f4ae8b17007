//! `muster ca sign`: certificates for many requests, in a run that may be killed and repeated.
//!
//! A request that has a valid certificate in the records gets that one again. So a request is
//! signed once, and its files are complete after the run that ends.

mod claims;
mod output;

use ids::ProfileKind;
use std::path::PathBuf;

use ids::Timestamp;
use pki::{
    AdmittedRequest, Certificate, IssuingProfile, ProfileConfig, RequestKey, Serial, prove_request,
};

use super::journal::{IssuedIndex, IssuedLine, Journal, KeyId};
use super::requests::{Item, RawRequest, RequestSource};
use super::revocations::Revocations;
use super::{CaDirectory, days};
use crate::workers::{BATCH, in_parallel};
use crate::{CaError, file_name, files};
use claims::Claims;
use output::Output;

#[derive(Debug, Clone)]
pub struct SignOptions {
    /// What the certificates are for.
    pub profile: ProfileKind,
    /// How many days they are valid, at most as long as the intermediate.
    pub days: u32,
    /// The folder for `CN.cert.pem` and `CN-full-chain.cert.pem`.
    pub out: PathBuf,
    /// Signs a request again when its certificate ends within so many days.
    pub renew_within_days: u32,
    /// Replaces files of another key.
    pub force: bool,
    /// Also signs requests for keys that few programs know.
    pub experimental: bool,
}

/// A request that was not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// Its file, and its line where the file has several.
    pub request: String,
    pub reason: String,
}

/// What happens during a run.
pub struct SignObserver<'a> {
    /// So many more files, or requests of one text, are done.
    pub advanced: &'a dyn Fn(usize),
    pub refused: &'a dyn Fn(&RefusedRequest),
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignOutcome {
    pub signed: usize,
    /// Requests with a valid certificate from before, whose files are complete.
    pub present: usize,
    pub refused: usize,
}

/// A request that the profile admits, and the parts that are known before it is signed.
struct Admitted {
    origin: String,
    request: AdmittedRequest,
    key: KeyId,
}

/// A certificate whose files are to be written.
struct Ready {
    name: String,
    certificate: Certificate,
}

impl CaDirectory {
    /// Signs requests. Each gets its two files, whole or not at all.
    ///
    /// # Errors
    /// When a file cannot be written or the intermediate cannot issue. What was signed before stays
    /// signed. A request that is refused is no error; `observer` is called with it.
    pub fn sign_requests(
        &self,
        source: &RequestSource,
        options: &SignOptions,
        now: Timestamp,
        observer: &SignObserver<'_>,
    ) -> Result<SignOutcome, CaError> {
        let profile = IssuingProfile::new(ProfileConfig {
            kind: options.profile,
            validity: days(options.days),
            key_types: match options.experimental {
                true => [RequestKey::USUAL, RequestKey::EXPERIMENTAL].concat(),
                false => RequestKey::USUAL.to_vec(),
            },
        });
        let profile = profile.map_err(|source| CaError::Profile { source })?;
        let journal = Journal::open(&self.dir)?;
        let output = Output::open(&options.out, options.force)?;
        let mut run = Run {
            ca: self,
            profile,
            valid_until: now.plus(days(options.renew_within_days)),
            now,
            index: journal.index()?,
            revocations: Revocations::read(&self.dir)?,
            journal,
            claims: Claims::new(output.names()),
            output,
            outcome: SignOutcome::default(),
        };
        for batch in source.items().chunks(BATCH) {
            run.batch(batch, observer)?;
            (observer.advanced)(batch.len());
        }
        if run.outcome.signed + run.outcome.present > 0 {
            files::sync_filesystem(&options.out)?;
        }
        Ok(run.outcome)
    }
}

/// One call of [`CaDirectory::sign_requests`].
struct Run<'a> {
    ca: &'a CaDirectory,
    profile: IssuingProfile,
    now: Timestamp,
    /// A certificate from before counts when it is valid longer than this.
    valid_until: Timestamp,
    journal: Journal,
    index: IssuedIndex,
    revocations: Revocations,
    claims: Claims,
    output: Output,
    outcome: SignOutcome,
}

impl Run<'_> {
    /// Certificates are recorded before their files are written.
    fn batch(&mut self, items: &[Item], observer: &SignObserver<'_>) -> Result<(), CaError> {
        let read = in_parallel(items, |item| item.read(|raw| self.admit(raw)));
        let (mut wanted, mut ready) = (Vec::new(), Vec::new());
        for admitted in read.into_iter().flatten() {
            let decided = admitted.and_then(|admitted| self.decide(admitted));
            match decided {
                Ok(Decision::Sign(admitted)) => wanted.push(admitted),
                Ok(Decision::Present(certificate)) => ready.push(certificate),
                Ok(Decision::Repeated) => self.outcome.present += 1,
                Err(refused) => {
                    self.outcome.refused += 1;
                    (observer.refused)(&refused);
                }
            }
        }
        self.outcome.present += ready.len();
        let signed = in_parallel(&wanted, |admitted| self.sign(admitted));
        let signed = signed.into_iter().collect::<Result<Vec<_>, _>>()?;
        let ca = self.ca.intermediate();
        let kind = self.profile.kind().name();
        let line = |one: &Ready| IssuedLine::new(&one.certificate, kind, ca, self.now);
        let lines: Vec<_> = signed.iter().map(line).collect();
        self.journal.append(&lines)?;
        self.outcome.signed += signed.len();
        ready.extend(signed);
        let written = in_parallel(&ready, |one| {
            let chain = self.ca.chain_of(&one.certificate);
            self.output
                .write(&one.name, &one.certificate.to_pem(), &chain)
        });
        written.into_iter().collect()
    }

    /// Everything that depends on the request alone; runs on all cores.
    fn admit(&self, raw: &RawRequest) -> Result<Admitted, RefusedRequest> {
        let refused = |reason: String| RefusedRequest {
            request: raw.origin.clone(),
            reason,
        };
        let bytes = raw
            .bytes
            .as_ref()
            .map_err(|reason| refused(reason.clone()))?;
        let request = prove_request(bytes)
            .and_then(|proven| self.profile.admit(proven, None))
            .map_err(|error| refused(error.to_string()))?;
        let name = request.common_name();
        if let Some(problem) = file_name::problem_with(name) {
            let reason = format!("its common name {name:?} cannot be used: {problem}");
            return Err(refused(reason));
        }
        let key = KeyId::of_spki(&request.spki_der());
        let other_key = self.output.other_key(name, key);
        if let Some(problem) = other_key {
            return Err(refused(problem));
        }
        Ok(Admitted {
            origin: raw.origin.clone(),
            request,
            key,
        })
    }

    /// Everything that depends on the requests before it.
    fn decide(&mut self, admitted: Admitted) -> Result<Decision, RefusedRequest> {
        let refused = |reason: String| RefusedRequest {
            request: admitted.origin.clone(),
            reason,
        };
        let name = admitted.request.common_name();
        match self.claims.claim(name, admitted.key, &admitted.origin) {
            Ok(claims::Claim::First) => {}
            Ok(claims::Claim::Repeated) => return Ok(Decision::Repeated),
            Err(reason) => return Err(refused(reason)),
        }
        let ca = self.ca.intermediate().sha256();
        let kind = self.profile.kind().name();
        let Some(found) = self.index.find(ca, kind, name, admitted.key) else {
            return Ok(Decision::Sign(admitted));
        };
        if let Some(since) = self.revocations.find(ca, found.serial) {
            return Err(refused(format!(
                "its certificate {} is revoked ({}); make another key",
                found.serial,
                since.reason.name()
            )));
        }
        if found.not_after <= self.valid_until {
            return Ok(Decision::Sign(admitted));
        }
        let recorded = self.journal.certificate(found.offset, found.length);
        let certificate = recorded.map_err(|error| refused(error.to_string()))?;
        Ok(Decision::Present(Ready {
            name: certificate.subject_common_name().unwrap_or(name).to_owned(),
            certificate,
        }))
    }

    fn sign(&self, admitted: &Admitted) -> Result<Ready, CaError> {
        let name = admitted.request.common_name();
        let signed = || {
            let prepared =
                admitted
                    .request
                    .prepare(&self.ca.issuer, Serial::random()?, self.now)?;
            prepared.lint()?.sign()
        };
        let certificate = signed().map_err(|source| CaError::Issue {
            name: name.to_owned(),
            source,
        })?;
        Ok(Ready {
            name: name.to_owned(),
            certificate,
        })
    }
}

enum Decision {
    Sign(Admitted),
    /// Signed by an earlier run.
    Present(Ready),
    /// The same request was there before in this run.
    Repeated,
}
