//! No circle of imports between the files of a service: what is built first does not know what
//! is built on it.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::source::Source;

/// The crates whose files are looked at.
const CRATES: &[&str] = &["dps", "hub", "rest", "transport", "throttle", "events"];

pub(crate) fn look(sources: &[Source], findings: &mut Findings) {
    for name in CRATES {
        let graph = graph(sources, name);
        for circle in circles(&graph) {
            let path = circle.first().copied().unwrap_or_default();
            let advice = format!(
                "these files import each other: {}; move what the lower ones need into a file \
                 of its own",
                circle.join(", ")
            );
            findings.fault(path, 1, "circle of imports", advice);
        }
    }
}

/// The files of a crate, each with those of its crate that it names.
type Graph<'s> = BTreeMap<&'s str, BTreeSet<&'s str>>;

fn graph<'s>(sources: &'s [Source], name: &str) -> Graph<'s> {
    let of_crate = sources.iter().filter(|source| source.krate() == name);
    let modules: BTreeMap<Vec<&str>, &Source> = of_crate
        .filter_map(|source| Some((module(&source.path)?, source)))
        .collect();
    let mut graph = Graph::new();
    for (own, source) in &modules {
        let named = graph.entry(source.path.as_str()).or_default();
        for (line, code) in source.code.iter().enumerate() {
            if source.is_test(line + 1) {
                continue;
            }
            for path in paths(code) {
                let found = (1..=path.len())
                    .rev()
                    .find_map(|length| modules.get_key_value(&path[..length]));
                if let Some((target, file)) = found
                    && !is_ancestor(own, target)
                    && !is_ancestor(target, own)
                {
                    named.insert(file.path.as_str());
                }
            }
        }
    }
    graph
}

/// The module that a file is: `["registration", "claim"]` of `…/src/registration/claim.rs`.
fn module(path: &str) -> Option<Vec<&str>> {
    let (_, inside) = path.split_once("/src/")?;
    let inside = inside.strip_suffix(".rs")?;
    let is_root = inside == "lib" || inside == "main" || inside.starts_with("bin/");
    (!is_root).then(|| inside.split('/').collect())
}

/// A folder's file names what is in the folder, and is named by it: that is no circle.
fn is_ancestor(one: &[&str], other: &[&str]) -> bool {
    other.starts_with(one)
}

/// The paths that a line names from the root of its crate.
fn paths(code: &str) -> impl Iterator<Item = Vec<&str>> {
    code.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter))
            .unwrap_or(rest.len());
        let path = rest[..end].split("::");
        path.filter(|part| !part.is_empty()).collect()
    })
}

/// Every group of files that reach each other, in order.
fn circles<'s>(graph: &Graph<'s>) -> Vec<Vec<&'s str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|file| (*file, reach(file, graph)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, reached_from) in &reached {
        if seen.contains(file) || !reached_from.contains(file) {
            continue;
        }
        let both_ways = |other: &&&str| {
            reached_from.contains(**other)
                && reached.get(**other).is_some_and(|back| back.contains(file))
        };
        let circle: Vec<&str> = graph.keys().filter(both_ways).copied().collect();
        seen.extend(circle.iter().copied());
        circles.push(circle);
    }
    circles
}

fn reach<'s>(from: &str, graph: &Graph<'s>) -> BTreeSet<&'s str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(graph.get(next).into_iter().flatten().copied());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let path = |name: &str| format!("crates/cloud/dps/src/{name}.rs");
        let sources: Vec<Source> = files
            .iter()
            .map(|(name, text)| Source::new(&path(name), text))
            .collect();
        let mut findings = Findings::default();
        look(&sources, &mut findings);
        findings
            .faults
            .into_iter()
            .map(|fault| fault.advice)
            .collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let found = faults(&[
            ("claim", "use crate::refusal::Refusal;\n"),
            ("refusal", "use crate::claim::Claim;\n"),
            ("issue", "use crate::claim::Claim;\n"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("claim.rs") && !found[0].contains("issue.rs"),
            "{found:?}"
        );
    }

    #[test]
    fn a_folder_and_its_file_may_name_each_other() {
        let files = [
            ("attest", "use crate::attest::x509::prove;\n"),
            ("attest/x509", "use crate::attest::Proof;\n"),
        ];
        assert!(faults(&files).is_empty());
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let test = "#[cfg(test)]\nmod tests {\n    use crate::claim::Claim;\n}\n";
        let files = [
            ("claim", "use crate::refusal::Refusal;\n"),
            ("refusal", test),
        ];
        assert!(faults(&files).is_empty());
    }
}
