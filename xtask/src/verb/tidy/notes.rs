//! Notes to oneself, traces of the machine a file was written on, and papers
//! that a reader of the checkout does not have.

use std::path::Path;

use super::Findings;

/// Written in two parts, so that this file is not its own violation.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Home folders, for the same reason in two parts.
const HOMES: [&str; 2] = [concat!("/ro", "ot/"), concat!("/home", "/")];

/// Pages of Azure's documentation begin so; anybody can read those.
const PUBLIC_PAGES: [&str; 4] = ["concepts-", "how-to-", "iot-hub-", "tutorial-"];

/// Names of papers, again in two parts.
const PAPERS: [&str; 1] = [concat!("fact ", "sheet")];

pub(crate) fn look(path: &str, text: &str, files: &Files<'_>, findings: &mut Findings) {
    // Written by cargo and by the Apache foundation.
    if path.ends_with("Cargo.lock") || path == "LICENSE" {
        return;
    }
    let root = files.root.display().to_string();
    for (number, line) in text.lines().enumerate() {
        for mark in MARKS {
            if has_unnumbered(line, mark) {
                findings.fault(
                    path,
                    number + 1,
                    "note without issue",
                    format!("write `{mark}(#n)` with the issue's number, or do it"),
                );
            }
        }
        let names_machine = HOMES.iter().any(|home| line.contains(home)) || line.contains(&root);
        if names_machine {
            findings.fault(
                path,
                number + 1,
                "path of a machine",
                "name the place relative to the checkout or in a variable",
            );
        }
        if let Some(paper) = missing_paper(prose(path, line), files.paths) {
            let advice =
                format!("`{paper}` is not in the checkout; say what it says, or name what is");
            findings.fault(path, number + 1, "paper out of reach", advice);
        }
    }
}

/// What a name in a text may stand for.
pub(crate) struct Files<'a> {
    pub(crate) root: &'a Path,
    pub(crate) paths: &'a [String],
}

/// The part of a line that is written for people: of Rust, its comment.
fn prose<'l>(path: &str, line: &'l str) -> &'l str {
    if !path.ends_with(".rs") {
        return line;
    }
    line.find("//").map_or("", |at| &line[at..])
}

/// A document that is named and is neither in the checkout nor public.
fn missing_paper<'l>(line: &'l str, paths: &[String]) -> Option<&'l str> {
    if let Some(paper) = PAPERS.iter().find(|paper| line.contains(**paper)) {
        return Some(paper);
    }
    line.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_./".contains(letter)))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.len() > ".md".len() && word.ends_with(".md"))
        .find(|word| {
            let name = word.rsplit('/').next().unwrap_or(word);
            let ours = paths
                .iter()
                .any(|path| path.rsplit('/').next() == Some(name));
            let public = PUBLIC_PAGES.iter().any(|start| name.starts_with(start));
            !ours && !public
        })
}

/// The mark as a word of its own and not followed by `(#digits)`.
fn has_unnumbered(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + mark.len()..];
        let inside_word = before.is_some_and(is_word) || after.chars().next().is_some_and(is_word);
        let numbered = after
            .strip_prefix("(#")
            .and_then(|rest| rest.split_once(')'))
            .is_some_and(|(number, _)| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            });
        // In backticks the mark is spoken of, not used.
        let quoted = before == Some('`');
        !inside_word && !numbered && !quoted
    })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(line: &str) -> Vec<&'static str> {
        let mut findings = Findings::default();
        let files = Files {
            root: Path::new("/build/here"),
            paths: &["docs/errors-and-status.md".to_owned()],
        };
        look("a.rs", line, &files, &mut findings);
        findings.faults.iter().map(|fault| fault.rule).collect()
    }

    #[test]
    fn a_numbered_note_passes() {
        let mark = MARKS[0];
        assert!(rules(&format!("// {mark}(#12): amqp")).is_empty());
        assert!(rules(&format!("let {mark}S = 1;")).is_empty());
        assert!(rules("muster-guide-XXXX").is_empty());
    }

    #[test]
    fn an_unnumbered_note_is_refused() {
        let mark = MARKS[0];
        assert_eq!(rules(&format!("// {mark}: amqp")), ["note without issue"]);
        assert_eq!(
            rules(&format!("// {mark}(#): amqp")),
            ["note without issue"]
        );
    }

    #[test]
    fn papers_at_hand_and_public_pages_pass() {
        assert!(rules("// see docs/errors-and-status.md and ../errors-and-status.md.").is_empty());
        assert!(rules("// Azure's `concepts-service.md`").is_empty());
    }

    #[test]
    fn papers_out_of_reach_are_refused() {
        let name = concat!("notes", ".md");
        assert_eq!(
            rules(&format!("// as in {name} 3.3")),
            ["paper out of reach"]
        );
        assert_eq!(
            rules(&format!("// ({} 2)", PAPERS[0])),
            ["paper out of reach"]
        );
    }

    #[test]
    fn paths_of_the_machine_are_refused() {
        assert_eq!(rules("see /build/here/target"), ["path of a machine"]);
        assert_eq!(rules(&format!("{}me/x", HOMES[1])), ["path of a machine"]);
        assert!(rules("see target/xtask").is_empty());
    }
}
