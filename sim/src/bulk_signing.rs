//! `muster ca sign` for many requests, killed with SIGKILL while it works, and repeated: each
//! request has one certificate afterwards, and no more.

mod audit;
mod requests;

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::{Finished, Program, Workshop, binary, run};

/// How many requests are signed, and how often the run is killed.
#[derive(Debug, Clone, Copy)]
pub struct BulkSigning {
    pub requests: usize,
    pub kills: u32,
    /// The moments of the kills follow from it.
    pub seed: u64,
}

/// What was proven: every request has exactly one certificate, which verifies.
#[derive(Debug)]
pub struct SignedInBulk {
    requests: usize,
    /// How many requests were recorded as signed when each run was killed.
    killed_at: Vec<usize>,
    /// Of all runs together.
    signing: Duration,
}

impl fmt::Display for SignedInBulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            killed_at,
            signing,
        } = self;
        let per_second = *requests as f64 / signing.as_secs_f64();
        for (kill, at) in (1..).zip(killed_at) {
            writeln!(f, "{at:>10} certificates recorded at kill {kill}")?;
        }
        writeln!(
            f,
            "{requests:>10} requests, each with one certificate that verifies"
        )?;
        writeln!(
            f,
            "{per_second:>10.0} certificates/s, {:.1} s in all",
            signing.as_secs_f64()
        )
    }
}

/// Signs, kills, repeats, and verifies every certificate. One that is lost, torn or issued twice is
/// an error.
pub fn sign_in_bulk(plan: BulkSigning) -> Result<SignedInBulk> {
    let workshop = Workshop::with_muster_ca()?;
    let (csr, out) = (
        workshop.path().join("requests"),
        workshop.path().join("signed"),
    );
    let expected = requests::write_all(&csr, plan.requests)?;
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut signed = SignedInBulk {
        requests: plan.requests,
        killed_at: Vec::new(),
        signing: Duration::ZERO,
    };
    for kill in 1..=plan.kills {
        let from = audit::recorded(workshop.path())?;
        let target = random.random_range(from..plan.requests.max(from + 1));
        let delay = Duration::from_micros(random.random_range(0..100_000));
        let started = Instant::now();
        let killed = kill_at(&workshop, &csr, &out, target, delay);
        killed.with_context(|| format!("seed {}, kill {kill}", plan.seed))?;
        signed.signing += started.elapsed();
        signed.killed_at.push(audit::recorded(workshop.path())?);
    }
    let started = Instant::now();
    let answer = run(&binary("muster")?, arguments(&workshop, &csr, &out))?.json()?;
    signed.signing += started.elapsed();
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let all = count("signed") + count("present");
    ensure!(
        all == plan.requests as u64 && count("refused") == 0,
        "{answer}"
    );
    audit::verify(&workshop, &out, &expected)?;
    ensure!(
        again(&workshop, &csr, &out)?["signed"] == 0,
        "a complete run signs something"
    );
    Ok(signed)
}

/// Starts a run, and kills it some time after so many certificates are recorded.
fn kill_at(
    workshop: &Workshop,
    csr: &Path,
    out: &Path,
    target: usize,
    delay: Duration,
) -> Result<()> {
    let mut command = Command::new(binary("muster")?);
    command.args(arguments(workshop, csr, out));
    let mut program = Program::start(command, &workshop.path().join("sign.log"))?;
    let started = Instant::now();
    let mut seen = 0;
    loop {
        let bytes = audit::recorded_bytes(workshop.path())?;
        if bytes != seen && audit::recorded(workshop.path())? >= target {
            break;
        }
        seen = bytes;
        if program.still_runs().is_err() {
            // It was faster than this loop.
            return Ok(());
        }
        ensure!(
            started.elapsed() < Duration::from_secs(600),
            "{}",
            program.log()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(delay);
    program.kill()
}

fn again(workshop: &Workshop, csr: &Path, out: &Path) -> Result<Value> {
    let finished: Finished = run(&binary("muster")?, arguments(workshop, csr, out))?;
    finished.json()
}

fn arguments(workshop: &Workshop, csr: &Path, out: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let words = [
        "ca",
        "sign",
        "--csr",
        &text(csr),
        "--out",
        &text(out),
        "--dir",
    ];
    let words = words.into_iter().map(str::to_owned);
    words.chain([text(workshop.path())]).collect()
}
