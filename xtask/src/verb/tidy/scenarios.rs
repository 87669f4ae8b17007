//! The lists of scenarios and statements are complete; every test in them exists.

use std::collections::BTreeSet;

use super::Findings;
use super::source::Source;

/// A list, the letter of its entries, and how many there are.
const LISTS: [(&str, char, u32); 2] = [
    ("docs/scenarios.md", 'T', 20),
    ("docs/statements.md", 'S', 106),
];

pub(crate) fn look(texts: &[(String, String)], sources: &[Source], findings: &mut Findings) {
    let tests: BTreeSet<String> = sources.iter().flat_map(tests_of).collect();
    for (path, letter, count) in LISTS {
        let Some((_, text)) = texts.iter().find(|(found, _)| found == path) else {
            findings.fault(path, 1, "scenarios", "the list is missing");
            continue;
        };
        for missing in missing_entries(text, letter, count) {
            let advice = format!("{missing} is missing");
            findings.fault(path, 1, "scenarios", advice);
        }
        for (line, fault) in faults(text, &tests) {
            findings.fault(path, line, "scenarios", fault);
        }
    }
}

/// `crate::name` of every test of a file.
fn tests_of(source: &Source) -> Vec<String> {
    let lines = source.code.iter().enumerate();
    let attributes = lines.filter(|(_, line)| {
        let line = line.trim_start();
        line.starts_with("#[test]") || line.starts_with("#[tokio::test")
    });
    let named = attributes.filter_map(|(at, _)| {
        let mut below = source.code.iter().skip(at + 1);
        let name = below.find_map(|line| {
            let (_, rest) = line.split_once("fn ")?;
            rest.split('(').next()
        })?;
        Some(format!("{}::{name}", source.krate()))
    });
    named.collect()
}

/// Entries that no line begins with: `- **T1** …`. `S58a` stands for S58.
fn missing_entries(text: &str, letter: char, count: u32) -> Vec<String> {
    let has = |number: u32| {
        let entry = format!("- **{letter}{number}");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&entry));
        lines.any(|rest| rest.starts_with("**") || rest.starts_with("a**"))
    };
    let missing = (1..=count).filter(|number| !has(*number));
    missing.map(|number| format!("{letter}{number}")).collect()
}

/// Entries that name no test and do not say "not yet", and tests that are not there.
fn faults(text: &str, tests: &BTreeSet<String>) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        for word in line.split('`').skip(1).step_by(2) {
            let is_test = word
                .split_once("::")
                .is_some_and(|(_, name)| name != "test");
            if is_test && !tests.contains(word) {
                faults.push((at + 1, format!("there is no test `{word}`")));
            }
        }
        if line.starts_with("- **") {
            let rest = lines[at + 1..].iter();
            let own = rest.take_while(|line| line.starts_with("  "));
            let said: String = std::iter::once(line).chain(own).copied().collect();
            if !said.contains("::") && !said.contains("Not yet") {
                faults.push((at + 1, "name a test, or say \"Not yet\"".to_owned()));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_gone_and_an_enrollment_without_one_are_found() {
        let code = "#[test]\nfn there() {}\n\n#[tokio::test(flavor = \"x\")]\nasync fn too() {}\n";
        let source = Source::new("crates/cloud/dps/tests/a.rs", code);
        let tests: BTreeSet<String> = tests_of(&source).into_iter().collect();
        assert_eq!(tests.len(), 2, "{tests:?}");
        let text = "- **T1** One.\n  Shown by `dps::there`, `dps::too`, `dps::gone`.\n\
                    - **T2** Two.\n- **T3** Three. Not yet.\n";
        let found = faults(text, &tests);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].1.contains("dps::gone") && found[1].0 == 3);
        assert_eq!(missing_entries(text, 'T', 4), ["T4"]);
    }
}
