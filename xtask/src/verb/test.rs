//! Every test of the project, with what they need: an engine of our own, the
//! sensor image, Python and Node with the SDKs, built programs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;
use clap::Args;

use crate::console::{heading, say, spell};
use crate::engine::Engine;
use crate::image::{self, SENSOR_IMAGE};
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::node;
use crate::package;
use crate::python;
use crate::verb::guide;
use crate::workspace::{Workspace, on_path, run as run_command};

/// Tests whose names begin so need an engine, the SDKs, packages of Python or a TPM.
const SLOW: [&str; 4] = ["engine_", "sdk_", "python_", "tpm_"];

#[derive(Args)]
pub(crate) struct Options {
    /// Leave out what needs a container engine, the Python and Node SDKs or a software TPM.
    #[arg(long)]
    fast: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let journal = Journal::open(&workspace.scratch("journals")?)?;
    let outcome = run_all(workspace, options, &interrupt, &journal);
    journal.sweep();
    outcome
}

fn run_all(
    workspace: &Workspace,
    options: &Options,
    interrupt: &Interrupt,
    journal: &Journal,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    heading("Programs under test");
    run_command(
        workspace
            .cargo("build")
            .args(["--quiet", "--locked", "-p", "muster", "-p", "edge"]),
    )?;
    let world = if options.fast {
        say("--fast: without container engine, SDKs, TPM and guides");
        World::bare(workspace)
    } else {
        World::prepare(workspace, interrupt, journal)?
    };
    interrupt.or_go_on()?;
    world.compile(workspace)?;
    let summary = world.everything(workspace, options.fast, interrupt, journal)?;
    interrupt.or_go_on()?;
    summary.print(begun)
}

/// What the tests are given, by environment variables.
struct World {
    programs: PathBuf,
    engine: Option<Engine>,
    python: Option<PathBuf>,
    node_modules: Option<PathBuf>,
}

impl World {
    fn bare(workspace: &Workspace) -> Self {
        Self {
            programs: workspace.target().join("debug"),
            engine: None,
            python: None,
            node_modules: None,
        }
    }

    fn prepare(
        workspace: &Workspace,
        interrupt: &Interrupt,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        heading("What the tests need");
        // Some stories make their certificates with the OpenSSL command line.
        package::ensure("openssl", "openssl")?;
        package::ensure("curl", "curl")?;
        // A client of EST. Its elliptic curves are in a package that is only recommended.
        if !on_path("pki") {
            package::install("libstrongswan-standard-plugins")?;
        }
        package::ensure("pki", "strongswan-pki")?;
        package::ensure("nats-server", "nats-server")?;
        package::ensure("swtpm", "swtpm")?;
        package::ensure("softhsm2-util", "softhsm2")?;
        package::ensure("faketime", "faketime")?;
        package::ensure("tpm2_createek", "tpm2-tools")?;
        let python = python::interpreter(workspace)?;
        let node_modules = node::modules(workspace)?;
        let engine = Engine::start_own(workspace, journal, interrupt)?;
        image::load_sensor(workspace, engine.api())?;
        Ok(Self {
            engine: Some(engine),
            python: Some(python),
            node_modules: Some(node_modules),
            ..Self::bare(workspace)
        })
    }

    fn give<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("MUSTER_BIN_DIR", &self.programs)
            .env("MUSTER_TEST_IMAGE", SENSOR_IMAGE);
        if let Some(engine) = &self.engine {
            command.env("MUSTER_TEST_ENGINE", engine.api().uri());
        }
        if let Some(python) = &self.python {
            command.env("MUSTER_TEST_PYTHON", python);
        }
        if let Some(modules) = &self.node_modules {
            command.env("MUSTER_TEST_NODE_MODULES", modules);
        }
        command
    }

    fn everything(
        &self,
        workspace: &Workspace,
        fast: bool,
        interrupt: &Interrupt,
        journal: &Journal,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary::default();
        heading("Tests");
        summary.step("tests", self.suite(workspace, fast));
        interrupt.or_go_on()?;
        if !fast {
            heading("Stories, with every write rehearsed");
            summary.step("rehearsed stories", self.rehearsal(workspace));
            interrupt.or_go_on()?;
        }
        if has_doctests(workspace)? {
            heading("Documentation tests");
            let mut doctests = workspace.cargo("test");
            doctests.args(["--quiet", "--locked", "--workspace", "--doc"]);
            summary.step("documentation tests", run_command(self.give(&mut doctests)));
            interrupt.or_go_on()?;
        }
        if let Some(engine) = &self.engine {
            heading("Guides");
            let guides = guide::execute_all(workspace, engine.api(), interrupt, journal);
            summary.step("guides", guides);
        }
        Ok(summary)
    }

    /// A fault that the compiler sees is reported before anything else runs.
    fn compile(&self, workspace: &Workspace) -> anyhow::Result<()> {
        heading("Building the tests");
        let mut build = workspace.cargo("test");
        build.args([
            "--quiet",
            "--locked",
            "--workspace",
            "--all-targets",
            "--no-run",
        ]);
        run_command(self.give(&mut build))
    }

    /// The stories once more, on servers that run every unit of writing, roll it back and run it
    /// again before it counts: a second storage engine may have to do that at any time.
    fn rehearsal(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let mut command = match has_nextest() {
            true => {
                let mut command = workspace.cargo("nextest");
                command.args([
                    "run",
                    "--locked",
                    "--workspace",
                    "--filterset",
                    "package(sim)",
                ]);
                command
            }
            false => {
                let mut command = workspace.cargo("test");
                command.args(["--locked", "--package", "sim", "--all-targets"]);
                command
            }
        };
        run_command(self.give(&mut command).env("MUSTER_STORE_REHEARSE", "1"))
    }

    fn suite(&self, workspace: &Workspace, fast: bool) -> anyhow::Result<()> {
        if !has_nextest() {
            say("cargo-nextest is not here; \
                 `cargo test` runs the same tests, one crate after another");
            return run_command(self.give(&mut with_cargo_test(workspace, fast)));
        }
        let mut command = workspace.cargo("nextest");
        command.args(["run", "--locked", "--workspace"]);
        if fast {
            command.args(["--filterset", &filter()]);
        }
        run_command(self.give(&mut command))
    }
}

/// In nextest's filter language: neither a test of such a name nor any test of
/// a program of such a name.
fn filter() -> String {
    let terms: Vec<String> = SLOW
        .iter()
        .map(|prefix| format!("test(/(^|::){prefix}/) or binary(/^{prefix}/)"))
        .collect();
    format!("not ({})", terms.join(" or "))
}

/// The same without nextest; fast, it leaves out all stories, because cargo
/// cannot leave out programs by name.
fn with_cargo_test(workspace: &Workspace, fast: bool) -> Command {
    let mut command = workspace.cargo("test");
    command.args(["--locked", "--workspace"]);
    if fast {
        command.args(["--lib", "--bins", "--"]);
        command.args(SLOW.iter().flat_map(|prefix| ["--skip", prefix]));
    } else {
        command.arg("--all-targets");
    }
    command
}

/// Whether any documentation of ours holds code to run. Asking takes no time;
/// running none of it in every crate takes minutes.
fn has_doctests(workspace: &Workspace) -> anyhow::Result<bool> {
    let search = Command::new("grep")
        .args([
            "--quiet",
            "--recursive",
            "--extended-regexp",
            "--include=*.rs",
        ])
        .args([r"^\s*//[/!] ```(rust|should_panic|)$", "crates", "sim"])
        .current_dir(workspace.root())
        .status()?;
    Ok(search.success())
}

/// Whether nextest is there, after one attempt to install a built one.
fn has_nextest() -> bool {
    if on_path("cargo-nextest") {
        return true;
    }
    if on_path("cargo-binstall") {
        let mut install = Command::new("cargo-binstall");
        install.args(["--no-confirm", "cargo-nextest"]);
        return run_command(&mut install).is_ok();
    }
    false
}

/// One line a step at the end, so that a failure is not scrolled away.
#[derive(Default)]
struct Summary {
    steps: Vec<(&'static str, anyhow::Result<()>)>,
}

impl Summary {
    fn step(&mut self, name: &'static str, outcome: anyhow::Result<()>) {
        self.steps.push((name, outcome));
    }

    fn print(self, begun: Instant) -> anyhow::Result<()> {
        heading("Summary");
        let mut failed = 0;
        for (name, outcome) in &self.steps {
            match outcome {
                Ok(()) => say(format!("ok    {name}")),
                Err(error) => {
                    failed += 1;
                    say(format!("FAIL  {name}: {error:#}"));
                }
            }
        }
        say(format!("in {}", spell(begun.elapsed())));
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.steps.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_filter_names_every_kind() {
        assert_eq!(
            filter(),
            "not (test(/(^|::)engine_/) or binary(/^engine_/) \
             or test(/(^|::)sdk_/) or binary(/^sdk_/) \
             or test(/(^|::)python_/) or binary(/^python_/) \
             or test(/(^|::)tpm_/) or binary(/^tpm_/))"
        );
    }
}
