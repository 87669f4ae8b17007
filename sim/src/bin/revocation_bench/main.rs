//! What revocation lists and OCSP answers cost, beside a bare signature of the same run. Run it with
//! `cargo xtask bench revocation`.

mod answers;
mod lists;

use anyhow::Result;
use clap::Parser;
use ids::Timestamp;
use pki::{Issuer, KeyType, PrivateKey, Profile, Serial, Subject, Validity};
use sim::measure::Rows;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

/// Measures revocation lists and OCSP answers.
#[derive(Debug, Parser)]
struct Arguments {
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// How long OCSP requests are sent to a server, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let issuer = issuer()?;
    let columns = ["us", "a second", "signatures", "MB"];
    let mut rows = Rows::new("Revocation, P-256", &columns);
    let signature = answers::signature(&mut rows)?;
    answers::signed_anew(&issuer, signature, &mut rows)?;
    let measuring = answers::over_http(arguments.seconds, signature, &mut rows);
    runtime.block_on(measuring)?;
    for entries in [10_000, 1_000_000] {
        lists::measure(&issuer, entries, signature, &mut rows)?;
    }
    rows.note("`signatures`: how many bare signatures the same time would make.");
    rows.note("Of a list, `a second` counts entries. Of a server, `us` is its CPU time.");
    rows.print(arguments.output == Output::Json)
}

fn issuer() -> Result<Issuer> {
    let key = PrivateKey::generate(KeyType::Ec)?;
    let (profile, name) = (
        Profile::Root { path_length: 0 },
        Subject::common_name("CA")?,
    );
    let validity = Validity::Exactly(YEAR);
    let prepared = pki::prepare(profile, &name, None, validity, Serial::random()?, NOW)?;
    let certificate = prepared.lint()?.sign(&key)?;
    Ok(Issuer::new(certificate, key)?)
}
