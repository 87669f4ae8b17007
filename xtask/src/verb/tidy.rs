//! The house rules that a compiler does not know. Every violation says where
//! it is, which rule it breaks and what to do.

mod circles;
mod contracts;
mod documents;
mod fuzzing;
mod measures;
mod names;
mod notes;
mod ownership;
mod proofs;
mod scenarios;
mod size;
mod source;
mod words;

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::console::say;
use crate::workspace::{Workspace, capture};

use self::source::Source;

#[derive(Args)]
pub(crate) struct Options {
    /// Rewrite the committed contracts, e.g. the programs' help.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let files = files(workspace)?;
    let sources = read_sources(workspace.root(), &files)?;
    let mut findings = Findings::default();
    for source in &sources {
        size::look(source, &mut findings);
        names::look(source, &mut findings);
        ownership::look(source, &mut findings);
        proofs::look(source, &mut findings);
    }
    circles::look(&sources, &mut findings);
    let named = notes::Files {
        root: workspace.root(),
        paths: &files,
    };
    let texts = read_texts(workspace.root(), &files);
    for (path, text) in &texts {
        notes::look(path, text, &named, &mut findings);
        let source = sources.iter().find(|source| source.path == *path);
        words::look(path, text, source, &mut findings);
    }
    let measured = texts.iter().filter_map(|(path, text)| {
        let source = sources.iter().find(|source| source.path == *path)?;
        Some((source, text.as_str()))
    });
    measures::look(&measured.collect::<Vec<_>>(), &mut findings);
    scenarios::look(&texts, &sources, &mut findings);
    fuzzing::look(workspace, &mut findings)?;
    documents::look(workspace.root(), &files, &mut findings)?;
    // Needs programs that build; the other findings are worth telling without them.
    if let Err(error) = contracts::look(workspace, options.bless, &mut findings) {
        findings.fault(
            "docs/contracts",
            1,
            "contract",
            format!("cannot be compared: {error:#}"),
        );
    }
    findings.report(sources.len())
}

/// One broken rule at one place.
struct Violation {
    place: String,
    rule: &'static str,
    advice: String,
}

/// What the rules found: faults fail the run, tripwires are only printed.
#[derive(Default)]
struct Findings {
    faults: Vec<Violation>,
    tripwires: Vec<Violation>,
}

impl Findings {
    fn fault(&mut self, path: &str, line: usize, rule: &'static str, advice: impl Into<String>) {
        self.faults.push(Violation {
            place: format!("{path}:{line}"),
            rule,
            advice: advice.into(),
        });
    }

    fn tripwire(&mut self, path: &str, line: usize, rule: &'static str, advice: impl Into<String>) {
        self.tripwires.push(Violation {
            place: format!("{path}:{line}"),
            rule,
            advice: advice.into(),
        });
    }

    fn report(&self, sources: usize) -> anyhow::Result<()> {
        for tripwire in &self.tripwires {
            say(format!(
                "note: {}: {}: {}",
                tripwire.place, tripwire.rule, tripwire.advice
            ));
        }
        for fault in &self.faults {
            say(format!("{}: {}: {}", fault.place, fault.rule, fault.advice));
        }
        if self.faults.is_empty() {
            say(format!(
                "tidy: {sources} source files hold ({} over a tripwire)",
                self.tripwires.len()
            ));
            return Ok(());
        }
        bail!("{} house rules are broken", self.faults.len())
    }
}

/// Every file that is committed or about to be.
fn files(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let listed = capture(
        std::process::Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(workspace.root()),
    )
    .context("the list of files comes from git")?;
    Ok(listed
        .lines()
        // A file may be deleted in the work tree and not yet in the index.
        .filter(|path| workspace.root().join(path).is_file())
        .map(str::to_owned)
        .collect())
}

fn read_sources(root: &Path, files: &[String]) -> anyhow::Result<Vec<Source>> {
    files
        .iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| {
            let text = std::fs::read_to_string(root.join(path))
                .with_context(|| format!("cannot read {path}"))?;
            Ok(Source::new(path, &text))
        })
        .collect()
}

/// Every file that is text, with its path.
fn read_texts(root: &Path, files: &[String]) -> Vec<(String, String)> {
    files
        .iter()
        .filter_map(|path| Some((path.clone(), std::fs::read_to_string(root.join(path)).ok()?)))
        .collect()
}
