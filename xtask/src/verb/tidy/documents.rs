//! Documents that others rely on: paths they name exist, translations carry
//! the same commands, CI runs the README's test command.

use std::path::Path;

use anyhow::Context as _;

use crate::verb::guide;

use super::Findings;

/// Pairs of a guide and its translation.
const TRANSLATIONS: [(&str, &str); 4] = [
    (
        "docs/guide/getting-started.en.md",
        "docs/guide/getting-started.ko.md",
    ),
    ("docs/guide/hub.en.md", "docs/guide/hub.ko.md"),
    ("docs/guide/factory-ca.en.md", "docs/guide/factory-ca.ko.md"),
    ("README.md", "README.ko.md"),
];

/// The command by which the README says that everything is tested.
const TEST_COMMAND: &str = "cargo xtask test";

pub(crate) fn look(root: &Path, files: &[String], findings: &mut Findings) -> anyhow::Result<()> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        named_paths(path, &read(path)?, root, findings);
    }
    for (original, translation) in TRANSLATIONS {
        same_commands(&read(original)?, translation, &read(translation)?, findings);
    }
    if !read("README.md")?.contains(TEST_COMMAND) {
        findings.fault(
            "README.md",
            1,
            "test command",
            format!("say that `{TEST_COMMAND}` tests everything"),
        );
    }
    if !read(".ci/run")?
        .lines()
        .any(|line| line.trim() == TEST_COMMAND)
    {
        findings.fault(
            ".ci/run",
            1,
            "test command",
            format!("run the README's `{TEST_COMMAND}`, word for word"),
        );
    }
    Ok(())
}

/// Every `crates/…`, `xtask/…` or `docs/…` in backticks and every relative
/// link must lead somewhere.
fn named_paths(path: &str, text: &str, root: &Path, findings: &mut Findings) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut in_block = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for word in line.split('`').skip(1).step_by(2) {
            let ours = ["crates/", "sim/", "xtask/", "docs/", "fuzz/"]
                .iter()
                .any(|start| word.starts_with(start));
            if ours && !word.contains(['*', '…', ' ', '{']) && !root.join(word).exists() {
                findings.fault(
                    path,
                    number + 1,
                    "path in a document",
                    format!("`{word}` does not exist"),
                );
            }
        }
        for target in link_targets(line) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !root.join(folder).join(file).exists() {
                findings.fault(
                    path,
                    number + 1,
                    "link in a document",
                    format!("`{target}` leads nowhere"),
                );
            }
        }
    }
}

/// Targets of `[text](target)` that are not addresses of the web.
fn link_targets(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://"))
        .collect()
}

fn same_commands(original: &str, path: &str, translation: &str, findings: &mut Findings) {
    let wanted = guide::blocks(original);
    let found = guide::blocks(translation);
    if wanted.len() != found.len() {
        findings.fault(
            path,
            1,
            "translation",
            format!(
                "{} `sh` blocks, the original has {}",
                found.len(),
                wanted.len()
            ),
        );
    }
    for (wanted, found) in wanted.iter().zip(&found) {
        if wanted.text != found.text {
            findings.fault(
                path,
                found.line,
                "translation",
                format!(
                    "this block differs from line {} of the original",
                    wanted.line
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_blocks_pass_and_others_are_refused() {
        let mut findings = Findings::default();
        same_commands(
            "a\n```sh\nls\n```\n",
            "t.md",
            "b\n\n```sh\nls\n```\n",
            &mut findings,
        );
        assert!(findings.faults.is_empty());
        same_commands(
            "```sh\nls\n```\n",
            "t.md",
            "```sh\nrm\n```\n",
            &mut findings,
        );
        assert_eq!(findings.faults[0].place, "t.md:2");
    }

    #[test]
    fn a_path_that_is_not_there_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("crates/protocol/ids")).unwrap();
        let text = "`crates/protocol/ids` and [here](crates/protocol/ids) and [web](https://x.example/y)\n";
        let mut findings = Findings::default();
        named_paths("a.md", text, root.path(), &mut findings);
        assert!(findings.faults.is_empty());
        named_paths(
            "a.md",
            "`crates/gone.rs` [x](gone.md)\n",
            root.path(),
            &mut findings,
        );
        assert_eq!(findings.faults.len(), 2);
    }
}
