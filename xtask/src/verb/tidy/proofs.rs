//! A check returns what it proved. One that returns nothing can be
//! skipped without anybody noticing.

use super::Findings;
use super::size::begins_function;
use super::source::{Source, item_end};

pub(crate) fn look(source: &Source, findings: &mut Findings) {
    for (start, line) in source.code.iter().enumerate() {
        if !begins_function(line) || source.is_test(start + 1) {
            continue;
        }
        let end = item_end(&source.code, start);
        let signature = source.code[start..=end].join(" ");
        let signature = signature.split('{').next().unwrap_or_default();
        let name = signature
            .split_once("fn ")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let is_check = name.starts_with("validate_") || name.starts_with("check_");
        if is_check && returns_nothing(signature) {
            findings.fault(
                &source.path,
                start + 1,
                "check without proof",
                "return a value that only this check can make, and let the next step demand it",
            );
        }
    }
}

fn returns_nothing(signature: &str) -> bool {
    let Some((_, result)) = signature.rsplit_once("->") else {
        return false;
    };
    let result: String = result.split_whitespace().collect();
    result.contains("Result<()")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> usize {
        let mut findings = Findings::default();
        look(&Source::new("crates/x/src/a.rs", text), &mut findings);
        findings.faults.len()
    }

    #[test]
    fn a_check_that_returns_its_proof_passes() {
        assert_eq!(
            faults("pub fn check_leaf(c: &C) -> Result<Leaf, E> {\n}\n"),
            0
        );
        assert_eq!(faults("pub fn store(c: &C) -> Result<(), E> {\n}\n"), 0);
    }

    #[test]
    fn a_check_that_returns_nothing_is_refused() {
        assert_eq!(
            faults("pub fn check_leaf(\n    c: &C,\n) -> Result<(), E> {\n}\n"),
            1
        );
        assert_eq!(
            faults("async fn validate_it() -> anyhow::Result<()> {\n}\n"),
            1
        );
    }
}
