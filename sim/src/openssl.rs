use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Finished;
use crate::command_line::split;

/// Runs an OpenSSL command, one line as in a shell, in a folder. It has to
/// succeed; its standard output.
pub fn openssl(dir: &Path, line: &str) -> Result<String> {
    let mut command = Command::new("openssl");
    let output = command.args(split(line)?).current_dir(dir).output();
    let finished = Finished::from(output.context("openssl")?);
    ensure!(
        finished.code == Some(0),
        "openssl {line}: {}",
        finished.stderr
    );
    Ok(finished.stdout)
}
