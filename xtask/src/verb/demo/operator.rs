//! The operator: `muster` commands against the demo's server, shown as a
//! person would type them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value as Json;

use crate::console::say;
use crate::workspace::{Workspace, capture, run};

/// Runs `muster` in the demo's folder, where the server's data folder is called [`DATA_DIR`].
pub(crate) struct Operator {
    program: PathBuf,
    folder: PathBuf,
}

/// The server's data folder, seen from the demo's folder.
pub(crate) const DATA_DIR: &str = "server";

impl Operator {
    pub(crate) fn new(workspace: &Workspace, folder: &Path) -> Self {
        Self {
            program: workspace.program("muster"),
            folder: folder.to_path_buf(),
        }
    }

    /// Shows and runs a command that needs no server. `command` is plain words;
    /// `values` are options whose values may hold anything.
    pub(crate) fn print_and_run(&self, command: &str, values: &[Value<'_>]) -> anyhow::Result<()> {
        let arguments = arguments(command, values);
        say(format!("$ muster {}", quoted(&arguments)));
        run(Command::new(&self.program)
            .args(arguments)
            .current_dir(&self.folder))
    }

    /// Shows and runs a command against the server.
    pub(crate) fn print_and_run_on_server(
        &self,
        command: &str,
        values: &[Value<'_>],
    ) -> anyhow::Result<()> {
        say(format!("$ {}", self.typed(command, values)));
        run(&mut self.command(command, values))
    }

    /// What a command answers as JSON.
    pub(crate) fn json(&self, command: &str, values: &[Value<'_>]) -> anyhow::Result<Json> {
        let text = capture(self.command(command, values).args(["--output", "json"]))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`muster {command}` wrote no JSON: {text}"))
    }

    /// The command line with the login, as typed in the demo's folder.
    pub(crate) fn typed(&self, command: &str, values: &[Value<'_>]) -> String {
        let arguments = arguments(command, values);
        format!("muster {} --data-dir {DATA_DIR}", quoted(&arguments))
    }

    fn command(&self, command: &str, values: &[Value<'_>]) -> Command {
        let mut process = Command::new(&self.program);
        process
            .args(arguments(command, values))
            .args(["--data-dir", DATA_DIR])
            .current_dir(&self.folder);
        process
    }
}

/// An option and its value.
type Value<'a> = (&'a str, &'a str);

fn arguments<'a>(command: &'a str, values: &[Value<'a>]) -> Vec<&'a str> {
    let options = values.iter().flat_map(|(name, value)| [*name, *value]);
    command.split_whitespace().chain(options).collect()
}

/// Arguments as a shell would need them.
fn quoted(arguments: &[&str]) -> String {
    let words: Vec<String> = arguments
        .iter()
        .map(|argument| {
            let plain = argument
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,@".contains(&byte));
            if plain && !argument.is_empty() {
                (*argument).to_owned()
            } else if !argument.contains(['"', '$', '`', '\\', '!']) {
                format!("\"{argument}\"")
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_only_when_a_shell_needs_it() {
        assert_eq!(quoted(&["ca", "init"]), "ca init");
        assert_eq!(quoted(&["a='b'", ""]), "\"a='b'\" \"\"");
        assert_eq!(quoted(&["{\"a\":1}"]), "'{\"a\":1}'");
        assert_eq!(quoted(&["'$a"]), r"''\''$a'");
    }
}
