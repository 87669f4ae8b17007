use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Finished;

/// A command with the interpreter that has the packages of `cargo xtask test`.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands Python over in the environment"
)]
pub(crate) fn interpreter() -> Result<Command> {
    let python = std::env::var("MUSTER_TEST_PYTHON");
    let python =
        python.context("MUSTER_TEST_PYTHON is not set; run the tests with `cargo xtask test`")?;
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Runs a script of `tests/python` on a folder. It has to succeed and to print one JSON value.
pub fn python(script: &str, folder: &Path) -> Result<Value> {
    let path = format!("{}/tests/python/{script}.py", env!("CARGO_MANIFEST_DIR"));
    let output = interpreter()?.arg(path).arg(folder).output();
    let finished = Finished::from(output.context("python")?);
    ensure!(
        finished.code == Some(0),
        "{script}.py: {}{}",
        finished.stdout,
        finished.stderr
    );
    Ok(serde_json::from_str(&finished.stdout)?)
}
