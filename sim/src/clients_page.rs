use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");

/// The page that says what becomes of each method and command of Microsoft's clients.
#[derive(Debug)]
pub struct ClientsPage(String);

impl ClientsPage {
    pub fn read() -> Result<Self> {
        Ok(Self(std::fs::read_to_string(FILE)?))
    }

    /// The rows of the section whose heading begins so: what is said of each name.
    pub fn rows(&self, heading: &str) -> Result<BTreeMap<&str, &str>> {
        let mut sections = self.0.split("\n## ");
        let section = sections.find(|section| section.starts_with(heading));
        let section = section.with_context(|| format!("no section {heading} in {FILE}"))?;
        let rows = section.lines().filter_map(|line| {
            let (name, says) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((name, says.trim_end_matches(" |")))
        });
        Ok(rows.collect())
    }

    /// A section names every method that an SDK has and no other, and says "works" of those
    /// whose calls were answered.
    pub fn require_methods(&self, heading: &str, calls: &Value) -> Result<()> {
        let rows = self.rows(heading)?;
        let calls = calls.as_object().context("no calls")?;
        for (method, outcome) in calls {
            let says = rows.get(method.as_str());
            let says = says.with_context(|| format!("{heading} lacks {method}: {outcome}"))?;
            let works = *says == "works";
            ensure!(
                works == (*outcome == "answered"),
                "{method}: {says}, but it is {outcome}"
            );
        }
        let more: Vec<_> = rows
            .keys()
            .filter(|name| !calls.contains_key(**name))
            .collect();
        ensure!(
            more.is_empty(),
            "{heading} names what the SDK does not have: {more:?}"
        );
        Ok(())
    }
}
