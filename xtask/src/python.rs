//! A Python with the unmodified device SDK, for the stories that need one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::console::say;
use crate::package;
use crate::workspace::{Workspace, run};

/// The SDK exactly as PyPI has it.
const SDK: &str = "azure-iot-device==2.14.0";

/// The interpreter of `target/xtask/venv`, made and filled when it is not.
pub(crate) fn interpreter(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let venv = workspace.scratch("venv")?;
    let python = venv.join("bin/python");
    let installed = venv.join("installed");
    let wanted = format!("{SDK}\n");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.is_file() {
        return Ok(python);
    }
    package::ensure("python3", "python3")?;
    say(format!("installing {SDK} into {}", venv.display()));
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))
    .context("Python 3 with its venv module is needed (Debian: python3-venv)")?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", SDK]))
        .with_context(|| format!("cannot install {SDK}"))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}
