//! Runs a file of x509-limbo cases: `cargo xtask limbo FILE`.

#![allow(
    missing_docs,
    clippy::print_stdout,
    reason = "a program that prints its findings"
)]

#[path = "../tests/pki/limbo/differences.rs"]
mod differences;
#[path = "../tests/pki/limbo/suite.rs"]
mod suite;

use std::process::ExitCode;

use serde_json::{Value, json};
use suite::{Outcome, Suite};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (file, format) = match arguments.as_slice() {
        [file] => (file, "table"),
        [file, format] if format == "json" => (file, "json"),
        [file, format] if format == "table" => (file, "table"),
        _ => return Err("usage: limbo FILE [table|json]".into()),
    };
    let text = std::fs::read_to_string(file)?;
    let suite: Suite = serde_json::from_str(&text)?;
    let outcomes = suite.run();
    let faults = outcomes.iter().filter(|one| one.is_fault()).count();
    match format {
        "json" => print_json(&outcomes, faults),
        _ => print_table(&outcomes, faults),
    }
    Ok(match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn print_json(outcomes: &[Outcome<'_>], faults: usize) {
    let cases: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let refused = outcome.refused.as_ref();
            json!({
                "id": outcome.case.id,
                "expected": outcome.case.expected_result,
                "ours": outcome.ours(),
                "agrees": outcome.agrees,
                "rule": refused.map(|refused| refused.rule),
                "message": refused.map(|refused| &refused.message),
                "reason": outcome.reason,
            })
        })
        .collect();
    let summary = summary(outcomes, faults);
    println!("{:#}", json!({ "summary": summary, "cases": cases }));
}

fn summary(outcomes: &[Outcome<'_>], faults: usize) -> Value {
    let agree = outcomes.iter().filter(|one| one.agrees).count();
    json!({
        "cases": outcomes.len(),
        "agree": agree,
        "differ": outcomes.len() - agree,
        "unexplained": faults,
    })
}

fn print_table(outcomes: &[Outcome<'_>], faults: usize) {
    for outcome in outcomes {
        let mark = match (outcome.is_fault(), outcome.agrees) {
            (true, _) => "FAULT",
            (false, true) => "ok",
            (false, false) => "differs",
        };
        let (rule, message) = match &outcome.refused {
            None => ("accepted", ""),
            Some(refused) => (refused.rule, refused.message.as_str()),
        };
        let (id, expected) = (&outcome.case.id, &outcome.case.expected_result);
        println!(
            "{mark:<8} {expected:<8} {:<8} {id} [{rule}] {message}",
            outcome.ours()
        );
        if let Some(reason) = outcome.reason {
            println!("{:<8} {reason}", "");
        }
    }
    let agree = outcomes.iter().filter(|one| one.agrees).count();
    println!(
        "{} cases: {agree} agree, {} differ, {faults} without a reason",
        outcomes.len(),
        outcomes.len() - agree
    );
}
