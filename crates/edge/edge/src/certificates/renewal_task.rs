//! The task that keeps one certificate renewed. It never gives up: a failure is a pause.

use std::sync::Arc;
use std::time::Duration;

use device::{Backoff, retry_pause};
use ids::{Thumbprint, Timestamp, error_chain};
use pki::Certificate;
use tokio::sync::watch;
use tokio::time::Instant;

use super::issuer::{CertificateIssuer, IssuanceError, Request};
use super::managed::{Managed, Step, has_begun};
use crate::config::RenewalTime;
use crate::state::SharedState;

/// Between two looks at the clock, which may be set at any time.
const LONGEST_SLEEP: Duration = Duration::from_secs(300);
/// Pauses of a device without a certificate that is valid.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The least time between two certificates that are issued, unless the first one ends sooner.
const BETWEEN_ISSUANCES: Duration = Duration::from_secs(60);

/// Who says that a new certificate works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nobody but this device uses it.
    AtOnce,
    /// The connection to the hub does, by [`Managed::proven`].
    AtHub,
}

/// Whose clock a certificate begins by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedBy {
    Device,
    Server,
}

/// Makes the issuer anew for each attempt: files that it reads may be replaced, and the trusted
/// roots of the system need not stay in memory.
pub type MakeIssuer = Box<dyn Fn() -> Result<CertificateIssuer, IssuanceError> + Send + Sync>;

/// A certificate that is kept renewed.
pub struct RenewalTask {
    pub managed: Arc<Managed>,
    pub issuer: MakeIssuer,
    pub proof: Proof,
    pub issued_by: IssuedBy,
    /// The pause between attempts to renew.
    pub retry: RenewalTime,
    /// Has the time, which the machine's clock may not know.
    pub shared: SharedState,
}

/// The certificate that this task got last.
#[derive(Debug)]
struct LastIssued {
    leaf: Thumbprint,
    at: Instant,
}

impl RenewalTask {
    /// Runs until its task is aborted.
    pub async fn run(self) {
        let mut changes = self.managed.changes();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last = None;
        loop {
            let (step, now) = self.next();
            let pause = match step {
                Step::MakeKey if let Some(rest) = self.rest(last.as_ref(), now) => rest,
                Step::Wait(due) => {
                    backoff.succeeded();
                    due.map_or(LONGEST_SLEEP, |due| due.since(now).min(LONGEST_SLEEP))
                }
                Step::Prove(_) if self.proof == Proof::AtHub => LONGEST_SLEEP,
                Step::MakeKey if self.managed.take_refusal() => {
                    self.failed(&IssuanceError::Refused, now, &mut backoff)
                }
                step => match self.act(step, now).await {
                    Ok(issued) => {
                        last = issued.or(last);
                        continue;
                    }
                    Err(IssuanceError::AtRegistration) => LONGEST_SLEEP,
                    Err(error) => self.failed(&error, now, &mut backoff),
                },
            };
            sleep(pause, &mut changes).await;
        }
    }

    /// What is next, and the time to do it by.
    fn next(&self) -> (Step, Timestamp) {
        let reading = self.shared.clock.read();
        match self.issued_by {
            IssuedBy::Device => self.managed.next_on_device(reading),
            IssuedBy::Server => (self.managed.next(reading.time), reading.time),
        }
    }

    /// How long the active certificate is left in use although it is due: it was as soon as it was
    /// issued, because it begins long before that moment.
    fn rest(&self, last: Option<&LastIssued>, now: Timestamp) -> Option<Duration> {
        let last = last?;
        let active = self.managed.active_chain();
        let is_last = |one: &&Certificate| one.sha256() == last.leaf && has_begun(one, now);
        let active = active.first().filter(is_last)?;
        let left = active.not_after().since(now);
        let rest = shortest_use(left).checked_sub(last.at.elapsed())?;
        (!rest.is_zero()).then(|| rest.min(LONGEST_SLEEP))
    }

    /// Returns the certificate that was issued, if one was.
    async fn act(&self, step: Step, now: Timestamp) -> Result<Option<LastIssued>, IssuanceError> {
        let id = &self.managed.wanted().id;
        match step {
            Step::Wait(_) => {}
            Step::MakeKey => {
                tracing::info!(certificate = %id, "a certificate is requested");
                self.managed.make_key()?;
            }
            Step::Request(key) => {
                // A key that was lost is replaced by another step.
                let Some(signer) = self.managed.signer(&key)? else {
                    return Ok(None);
                };
                let current = self.managed.presentable(now)?.into_iter().next();
                let request = Request {
                    wanted: self.managed.wanted(),
                    csr: key.request.as_bytes(),
                    key: &signer,
                    current: current.map(|current| current.identity),
                    now,
                };
                let chain = (self.issuer)()?.issue(&request).await?;
                let leaf = chain.first().cloned();
                self.managed.issued(&key, chain)?;
                let until = leaf.as_ref().map(|leaf| leaf.not_after().in_seconds());
                tracing::info!(certificate = %id, valid_until = ?until, "a certificate was issued");
                return Ok(leaf.map(|leaf| LastIssued {
                    leaf: leaf.sha256(),
                    at: Instant::now(),
                }));
            }
            Step::Prove(leaf) => {
                self.managed
                    .proven(&leaf, self.shared.clock.read().passed)?;
            }
        }
        Ok(None)
    }

    /// Notes a failure; the pause until the next attempt.
    fn failed(&self, error: &IssuanceError, now: Timestamp, backoff: &mut Backoff) -> Duration {
        let problem = error_chain(error);
        let active = self.managed.active_chain();
        let chance = rand::random();
        let is_valid = |leaf: &&Certificate| leaf.not_after() > now && has_begun(leaf, now);
        let pause = match active.first().filter(is_valid) {
            None => backoff.failed_with(error.retry_after(), chance),
            Some(leaf) => {
                let life = leaf.not_after().since(leaf.not_before());
                let left = leaf.not_after().since(now);
                let own = retry_after(self.retry, life, left, chance);
                let asked = error.retry_after().map(|asked| retry_pause(asked, chance));
                asked.map_or(own, |asked| own.max(asked))
            }
        };
        tracing::warn!(
            certificate = %self.managed.wanted().id,
            error = %problem,
            retry_in = ?pause,
            "a certificate was not issued"
        );
        self.managed.note_problem(Some(problem));
        pause
    }
}

/// The pause between attempts to renew a certificate that is still valid for `left` of its `life`:
/// up to a tenth shorter by chance, and never more than a quarter of what is left.
fn retry_after(retry: RenewalTime, life: Duration, left: Duration, chance: f64) -> Duration {
    let pause = match retry {
        RenewalTime::Percent(percent) => life.mul_f64(f64::from(percent) / 100.0),
        RenewalTime::Time(time) => time,
    };
    let pause = pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0);
    pause.min(left / 4).max(FIRST_PAUSE)
}

/// How long a certificate that is valid for `left` is used at least. One that begins when it is
/// issued is never due so early, unless it is valid for minutes only.
fn shortest_use(left: Duration) -> Duration {
    (left / 20).max(BETWEEN_ISSUANCES.min(left / 2))
}

/// Ends early when the certificate changes. Cancel-safe: a timer and a channel.
async fn sleep(pause: Duration, changes: &mut watch::Receiver<u64>) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        Ok(()) = changes.changed() => {}
    }
}

#[cfg(test)]
mod tests;
