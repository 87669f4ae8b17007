//! Executes the guides: the `sh` blocks of a guide, in order, in one shell, as a reader would type
//! them into one terminal. Blocks in other languages are shown, not run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::child::Running;
use crate::console::say;
use crate::docker;
use crate::engine::Engine;
use crate::image;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::wait::{Probe, until};
use crate::workspace::{Workspace, environment, run as run_command};

/// Documents whose blocks are executed. Their translations carry the same
/// blocks, which `cargo xtask tidy` compares.
const GUIDES: [Guide; 4] = [
    Guide {
        path: "README.md",
        start: Start::EmptyFolder,
    },
    Guide {
        path: "docs/guide/getting-started.en.md",
        start: Start::Checkout,
    },
    Guide {
        path: "docs/guide/hub.en.md",
        start: Start::EmptyFolder,
    },
    Guide {
        path: "docs/guide/factory-ca.en.md",
        start: Start::EmptyFolder,
    },
];

/// A document with `sh` blocks.
struct Guide {
    path: &'static str,
    start: Start,
}

/// The folder in which a reader begins.
enum Start {
    /// The checkout: the first commands build the programs.
    Checkout,
    /// Any empty folder; the programs are installed.
    EmptyFolder,
}

/// How long a whole guide may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(workspace: &Workspace, _options: &Options) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let journal = Journal::open(&workspace.scratch("journals")?)?;
    run_command(
        workspace
            .cargo("build")
            .args(["--quiet", "--locked", "-p", "muster", "-p", "edge"]),
    )?;
    let engine = Engine::start_own(workspace, &journal, &interrupt)?;
    let outcome = image::load_sensor(workspace, engine.api())
        .and_then(|()| execute_all(workspace, engine.api(), &interrupt, &journal));
    drop(engine);
    journal.sweep();
    outcome
}

/// Executes every guide against this engine, which has the sensor's image.
pub(crate) fn execute_all(
    workspace: &Workspace,
    engine: &docker::Engine,
    interrupt: &Interrupt,
    journal: &Journal,
) -> anyhow::Result<()> {
    for guide in GUIDES {
        let text = std::fs::read_to_string(workspace.root().join(guide.path))
            .with_context(|| format!("cannot read {}", guide.path))?;
        let blocks = blocks(&text);
        if blocks.is_empty() {
            bail!("{} has no `sh` block to execute", guide.path);
        }
        let script = script(guide.path, &blocks);
        guide.execute(&script, workspace, engine, interrupt, journal)?;
        say(format!("ok    {}: {} blocks", guide.path, blocks.len()));
    }
    Ok(())
}

impl Guide {
    fn execute(
        &self,
        script: &str,
        workspace: &Workspace,
        engine: &docker::Engine,
        interrupt: &Interrupt,
        journal: &Journal,
    ) -> anyhow::Result<()> {
        let temporary = tempfile::Builder::new().prefix("muster-guide-").tempdir()?;
        journal.directory(temporary.path())?;
        let file = temporary.path().join("guide.sh");
        std::fs::write(&file, script)?;
        let folder = match self.start {
            Start::Checkout => workspace.root().to_path_buf(),
            Start::EmptyFolder => {
                let empty = temporary.path().join("empty");
                std::fs::create_dir(&empty)?;
                empty
            }
        };
        let log = workspace.scratch("guide")?.join("log");
        let mut command = Command::new("bash");
        command
            .arg(&file)
            .current_dir(folder)
            .env("TMPDIR", temporary.path())
            .env("DOCKER_HOST", engine.uri())
            .env("PATH", path_with(&workspace.target().join("debug")));
        let mut shell = Running::start("the guide's shell", &mut command, &log, journal)?;
        until(self.path, PATIENCE, interrupt, || {
            Ok(match shell.succeeded()? {
                Some(true) => Probe::Yes(()),
                Some(false) => bail!(
                    "{} failed; the end of {}:\n{}",
                    self.path,
                    log.display(),
                    crate::child::tail(&log, 3_000)
                ),
                None => Probe::NotYet(crate::child::tail(&log, 500)),
            })
        })
    }
}

fn path_with(first: &Path) -> String {
    let rest = environment("PATH").unwrap_or_default();
    format!("{}:{rest}", first.display())
}

/// One script: it stops at the first failure, says which line of the guide it
/// is at, and ends the programs that it left in the background.
fn script(guide: &str, blocks: &[Block]) -> String {
    let mut script = String::from(
        "set -euo pipefail\n\
         trap 'code=$?; kill $(jobs -p) 2>/dev/null || true; wait || true; exit $code' EXIT\n",
    );
    for block in blocks {
        // Writing to a String cannot fail.
        let _ = write!(script, "echo '# {guide}:{}'\n{}\n", block.line, block.text);
    }
    script
}

/// A fenced `sh` block and the line of its first command.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The fenced blocks marked `sh`, in order.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut other = false;
    for (number, line) in markdown.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(_), None) if other => other = false,
            (Some("sh"), None) => {
                open = Some(Block {
                    line: number + 2,
                    text: String::new(),
                });
            }
            (Some(_), None) => other = true,
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sh_blocks_are_taken_with_their_lines() {
        let markdown = "a\n```sh\none\ntwo\n```\n```console\nshown\n```\n```sh\nthree\n```\n";
        let found = blocks(markdown);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].text.as_str()), (3, "one\ntwo\n"));
        assert_eq!((found[1].line, found[1].text.as_str()), (10, "three\n"));
    }

    #[test]
    fn a_script_stops_at_the_first_failure() {
        let block = |text: &str| Block {
            line: 1,
            text: text.to_owned(),
        };
        let script = script("g.md", &[block("false"), block("touch never")]);
        let dir = tempfile::tempdir().unwrap();
        let status = Command::new("bash")
            .arg("-c")
            .arg(&script)
            .current_dir(dir.path())
            .status();
        assert!(!status.unwrap().success());
        assert!(!dir.path().join("never").exists());
    }
}
