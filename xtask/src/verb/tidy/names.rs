//! Names that say nothing collect everything.

use super::Findings;
use super::source::Source;

const EMPTY_NAMES: [&str; 8] = [
    "utils", "util", "common", "helpers", "helper", "manager", "misc", "shared",
];

pub(crate) fn look(source: &Source, findings: &mut Findings) {
    for part in source.path.split('/') {
        let name = part.trim_end_matches(".rs");
        let says_nothing = name
            .split(['-', '_'])
            .any(|word| EMPTY_NAMES.contains(&word));
        if says_nothing {
            findings.fault(
                &source.path,
                1,
                "empty name",
                format!("`{name}` does not say what it is; name it for what it holds"),
            );
        }
    }
    if source.path.ends_with("/mod.rs") {
        findings.fault(
            &source.path,
            1,
            "mod.rs",
            "use `name.rs` beside the folder `name/`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str) -> usize {
        let mut findings = Findings::default();
        look(&Source::new(path, ""), &mut findings);
        findings.faults.len()
    }

    #[test]
    fn a_name_that_says_what_it_is_passes() {
        assert_eq!(faults("crates/cloud/dps/src/allocate.rs"), 0);
        // Part of a longer word is not the word.
        assert_eq!(faults("crates/cloud/dps/src/commonality.rs"), 0);
    }

    #[test]
    fn empty_names_and_mod_rs_are_refused() {
        assert_eq!(faults("crates/cloud/dps-common/src/lib.rs"), 1);
        assert_eq!(faults("crates/cloud/dps/src/string_utils.rs"), 1);
        assert_eq!(faults("crates/cloud/dps/src/attest/mod.rs"), 1);
    }
}
