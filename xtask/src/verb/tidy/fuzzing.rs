//! Every fuzz target's file is listed in `fuzz/Cargo.toml`, and the reverse;
//! each has committed seeds.

use anyhow::Context as _;

use crate::verb::fuzz;
use crate::workspace::Workspace;

use super::Findings;

const MANIFEST: &str = "fuzz/Cargo.toml";

pub(crate) fn look(workspace: &Workspace, findings: &mut Findings) -> anyhow::Result<()> {
    let listed = fuzz::targets(workspace)?;
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let mut present = Vec::new();
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(target) = name.strip_suffix(".rs") {
            present.push(target.to_owned());
        }
    }
    compare(&listed, &present, findings);
    for target in &listed {
        let seeds = fuzz::seeds(workspace).join(target);
        let any = std::fs::read_dir(&seeds).is_ok_and(|mut files| files.next().is_some());
        if !any {
            let fault = format!(
                "`{target}` has no seeds; put inputs of each kind into fuzz/seeds/{target}"
            );
            findings.fault(MANIFEST, 1, "fuzz seeds", fault);
        }
    }
    Ok(())
}

fn compare(listed: &[String], present: &[String], findings: &mut Findings) {
    for target in present.iter().filter(|target| !listed.contains(target)) {
        findings.fault(
            MANIFEST,
            1,
            "fuzz target",
            format!("`{target}.rs` exists but is not listed; add a [[bin]]"),
        );
    }
    for target in listed.iter().filter(|target| !present.contains(target)) {
        findings.fault(
            MANIFEST,
            1,
            "fuzz target",
            format!("`{target}` is listed but its file is missing"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(listed: &[&str], present: &[&str]) -> usize {
        let own = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let mut findings = Findings::default();
        compare(&own(listed), &own(present), &mut findings);
        findings.faults.len()
    }

    #[test]
    fn listed_and_present_passes() {
        assert_eq!(faults(&["a", "b"], &["b", "a"]), 0);
    }

    #[test]
    fn either_alone_is_refused() {
        assert_eq!(faults(&["a"], &["a", "b"]), 1);
        assert_eq!(faults(&["a", "b"], &["a"]), 1);
    }
}
