//! What people script against is a committed file: the help of every command of every program.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Context as _;

use crate::console::say;
use crate::workspace::{Workspace, capture, run};

use super::Findings;

const PROGRAMS: [&str; 3] = ["muster", "aziot-edged", "iotedge"];

/// Commands nest; a deeper tree than this is a loop.
const MAX_DEPTH: usize = 6;

pub(crate) fn look(
    workspace: &Workspace,
    bless: bool,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    run(workspace
        .cargo("build")
        .args(["--quiet", "--locked", "-p", "muster", "-p", "edge"]))?;
    for program in PROGRAMS {
        let mut help = String::new();
        collect(workspace, program, &mut Vec::new(), &mut help)?;
        let name = format!("docs/contracts/{program}-help.txt");
        let path = workspace.root().join(&name);
        if bless {
            std::fs::create_dir_all(workspace.root().join("docs/contracts"))?;
            std::fs::write(&path, &help).with_context(|| format!("cannot write {name}"))?;
            say(format!("wrote {name}"));
            continue;
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, wanted)) = first_difference(&committed, &help) {
            findings.fault(
                &name,
                line,
                "contract",
                format!(
                    "the program says `{wanted}` here; if that is meant, `cargo xtask tidy --bless`"
                ),
            );
        }
    }
    Ok(())
}

/// Appends the help of a command and of all commands below it.
fn collect(
    workspace: &Workspace,
    program: &str,
    path: &mut Vec<String>,
    help: &mut String,
) -> anyhow::Result<()> {
    let text = capture(
        Command::new(workspace.program(program))
            .args(&*path)
            .arg("-h")
            // Help shows the values of variables and is wrapped to COLUMNS.
            .env_clear(),
    )?;
    // Trailing blanks of wrapped lines mean nothing.
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    let title = [&[program.to_owned()], path.as_slice()].concat().join(" ");
    writeln!(help, "## {title}\n\n{}\n", text.join("\n").trim_end())?;
    if path.len() < MAX_DEPTH {
        for command in subcommands(&text) {
            path.push(command);
            collect(workspace, program, path, help)?;
            path.pop();
        }
    }
    Ok(())
}

/// The names below clap's heading `Commands:`.
fn subcommands(help: &[&str]) -> Vec<String> {
    help.iter()
        .skip_while(|line| **line != "Commands:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("  "))
        // Deeper lines go on with the text of the one before.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The first line that differs, from 1, and what it should be.
fn first_difference(committed: &str, actual: &str) -> Option<(usize, String)> {
    let (mut committed, mut actual) = (committed.lines(), actual.lines());
    for number in 1.. {
        match (committed.next(), actual.next()) {
            (None, None) => return None,
            (Some(old), Some(new)) if old == new => {}
            (_, new) => return Some((number, new.unwrap_or("(nothing)").to_owned())),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_the_help() {
        let help = [
            "Usage: x",
            "",
            "Commands:",
            "  create  Makes one",
            "          of them",
            "  help    Print",
            "",
            "Options:",
            "  -h",
        ];
        assert_eq!(subcommands(&help), ["create"]);
    }

    #[test]
    fn equal_texts_have_no_difference_and_others_their_first() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "c".to_owned())));
        assert_eq!(
            first_difference("a\nb\n", "a\n"),
            Some((2, "(nothing)".to_owned()))
        );
    }
}
