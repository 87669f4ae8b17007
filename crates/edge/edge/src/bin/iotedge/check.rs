//! `iotedge check`: finds the reason why a device does not work, without the internet
//! and without a container.

mod connectivity;
mod keys;
mod local;
mod result;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Device;
use crate::output::{self, Format};
use result::{Checked, Outcome};

/// `iotedge check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  iotedge check --output json")]
pub struct Check {
    /// Show the details of every check.
    #[arg(long)]
    verbose: bool,
    /// Exit with 1 when there are warnings.
    #[arg(long)]
    warnings_as_errors: bool,
    /// Ids of checks to leave out, separated by spaces or commas.
    #[arg(long, value_name = "IDS", default_value = "")]
    dont_run: String,
}

pub async fn run(flags: &Check, device: &Device) -> anyhow::Result<ExitCode> {
    let left_out: Vec<&str> = flags
        .dont_run
        .split([' ', ','])
        .filter(|id| !id.is_empty())
        .collect();
    let mut checks = local::run(device).await;
    checks.extend(connectivity::run(device).await);
    checks.retain(|check| !left_out.contains(&check.id));
    match device.output {
        Format::Json => output::json(&as_json(&checks))?,
        Format::Text => output::text(lines(&checks, flags.verbose))?,
    }
    let count =
        |wanted: fn(&Outcome) -> bool| checks.iter().filter(|check| wanted(&check.outcome)).count();
    let errors = count(|outcome| matches!(outcome, Outcome::Error(_)));
    let warnings = count(|outcome| matches!(outcome, Outcome::Warning(_)));
    let failed = errors > 0 || (flags.warnings_as_errors && warnings > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn as_json(checks: &[Checked]) -> Value {
    let one = |check: &Checked| {
        let details: Vec<&str> = check.outcome.details().collect();
        (
            check.id.to_owned(),
            json!({ "result": { "result": check.outcome.word(), "details": details } }),
        )
    };
    json!({
        "additional_info": {
            "aziot_edged_version": env!("CARGO_PKG_VERSION"),
            "now": edge::clock::now(),
            "os": { "arch": std::env::consts::ARCH },
        },
        "checks": checks.iter().map(one).collect::<serde_json::Map<_, _>>(),
    })
}

fn lines(checks: &[Checked], verbose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = "";
    for check in checks {
        if check.section != section {
            section = check.section;
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend([section.to_owned(), "-".repeat(section.len())]);
        }
        let (mark, word) = check.outcome.symbol_and_word();
        lines.push(format!("{mark} {} - {word}", check.description));
        let is_printed = verbose || !matches!(check.outcome, Outcome::Ok(_) | Outcome::Skipped(_));
        if is_printed {
            lines.extend(
                check
                    .outcome
                    .details()
                    .map(|detail| format!("    {detail}")),
            );
        }
    }
    lines.push(String::new());
    for (word, text) in [
        ("ok", "check(s) succeeded."),
        (
            "warning",
            "check(s) raised warnings. Re-run with --verbose for more details.",
        ),
        ("error", "check(s) raised errors."),
        (
            "skipped",
            "check(s) were skipped due to errors from other checks.",
        ),
    ] {
        match checks
            .iter()
            .filter(|check| check.outcome.word() == word)
            .count()
        {
            0 => {}
            count => lines.push(format!("{count} {text}")),
        }
    }
    lines
}
