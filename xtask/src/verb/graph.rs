//! The crate graph: which crate may depend on which, and the committed picture of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::console::say;
use crate::workspace::{Workspace, capture};

mod drawing;
mod floors;

const PICTURE: &str = "graph.txt";
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// One crypto stack: what must not be linked, and why.
const BANNED: [(&str, &str); 5] = [
    ("ring", "aws-lc-rs is the one provider of cryptography"),
    ("openssl-sys", "rustls is the one TLS stack"),
    ("native-tls", "rustls is the one TLS stack"),
    ("async-std", "tokio is the one runtime"),
    ("chrono", "the `time` crate is the one calendar"),
];

#[derive(Args)]
pub(crate) struct Options {
    /// Rewrite graph.txt, and the drawing in ARCHITECTURE.md that is made from it.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let metadata = metadata(workspace)?;
    let crates = direct_dependencies(&metadata, workspace)?;
    let mut faults = floors::faults(&crates);
    faults.extend(external_rules(&linked(workspace)?));
    for (file, wanted) in pictures(workspace, &crates)? {
        let path = workspace.root().join(file);
        if options.bless {
            std::fs::write(&path, &wanted)
                .with_context(|| format!("cannot write {}", path.display()))?;
            say(format!("wrote {file}"));
        } else if std::fs::read_to_string(&path).unwrap_or_default() != wanted {
            faults.push(format!(
                "{file}:1: the crate graph changed; look at it with `git diff` after \
                 `cargo xtask graph --bless`"
            ));
        }
    }
    if faults.is_empty() {
        say(format!(
            "graph: {} crates, as drawn in {PICTURE}",
            crates.len()
        ));
        return Ok(());
    }
    bail!("the crate graph does not hold:\n  {}", faults.join("\n  "))
}

/// The files that show the graph, with what they should hold.
fn pictures(workspace: &Workspace, crates: &Crates) -> anyhow::Result<[(&'static str, String); 2]> {
    let architecture = std::fs::read_to_string(workspace.root().join(ARCHITECTURE))
        .with_context(|| format!("cannot read {ARCHITECTURE}"))?;
    let drawn = drawing::in_document(&architecture, crates)
        .with_context(|| format!("{ARCHITECTURE} has no place for the drawing"))?;
    Ok([(PICTURE, drawing::list(crates)), (ARCHITECTURE, drawn)])
}

/// The crates of the workspace, by name.
type Crates = BTreeMap<String, Member>;

/// A crate of the workspace with its direct normal dependencies, by name.
#[derive(Default)]
struct Member {
    /// Its folder from the root of the workspace: `crates/cloud/dps`.
    folder: String,
    ours: Vec<String>,
    external: Vec<String>,
}

fn metadata(workspace: &Workspace) -> anyhow::Result<Value> {
    let mut command = workspace.cargo("metadata");
    command.args(["--format-version", "1", "--locked", "--no-deps"]);
    Ok(serde_json::from_str(&capture(&mut command)?)?)
}

/// Every package that is linked on this platform, a line each: `name vX.Y.Z …`.
/// `cargo metadata` also lists packages that only a weak feature names.
fn linked(workspace: &Workspace) -> anyhow::Result<String> {
    let mut command = workspace.cargo("tree");
    command.args(["--locked", "--workspace", "--edges", "normal"]);
    command.args(["--prefix", "none", "--format", "{p}"]);
    capture(&mut command)
}

fn members(metadata: &Value) -> anyhow::Result<Vec<&Value>> {
    let ids = metadata["workspace_members"]
        .as_array()
        .context("metadata without members")?;
    let packages = metadata["packages"]
        .as_array()
        .context("metadata without packages")?;
    Ok(packages
        .iter()
        .filter(|package| ids.contains(&package["id"]))
        .collect())
}

fn direct_dependencies(metadata: &Value, workspace: &Workspace) -> anyhow::Result<Crates> {
    let members = members(metadata)?;
    let names: Vec<&str> = members
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut crates = Crates::new();
    for package in &members {
        let name = package["name"].as_str().context("a package without name")?;
        let entry = crates.entry(name.to_owned()).or_default();
        entry.folder = folder(package, workspace)?;
        let dependencies = package["dependencies"]
            .as_array()
            .context("a package without dependencies")?;
        for dependency in dependencies {
            // `kind` is null for what is linked, "dev" or "build" otherwise.
            if !dependency["kind"].is_null() {
                continue;
            }
            let target = dependency["name"]
                .as_str()
                .context("a dependency without name")?;
            if names.contains(&target) {
                entry.ours.push(target.to_owned());
            } else {
                entry.external.push(target.to_owned());
            }
        }
        entry.ours.sort();
    }
    Ok(crates)
}

/// The folder of a package, from the root of the workspace.
fn folder(package: &Value, workspace: &Workspace) -> anyhow::Result<String> {
    let manifest = package["manifest_path"]
        .as_str()
        .context("a package without manifest")?;
    let folder = Path::new(manifest)
        .parent()
        .and_then(|folder| folder.strip_prefix(workspace.root()).ok())
        .with_context(|| format!("{manifest} is outside the workspace"))?;
    Ok(folder.display().to_string())
}

/// Rules about what is linked at all, in any depth.
fn external_rules(tree: &str) -> Vec<String> {
    let linked: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .collect();
    let mut faults: Vec<String> = BANNED
        .iter()
        .filter(|(name, _)| linked.iter().any(|(linked, _)| linked == name))
        .map(|(name, why)| {
            format!(
                "Cargo.lock:1: `{name}` is linked, but {why}; \
                 find its user with `cargo tree -i {name}`"
            )
        })
        .collect();
    let rustls: Vec<&str> = linked
        .iter()
        .filter(|(name, _)| *name == "rustls")
        .map(|(_, version)| *version)
        .collect();
    if rustls.len() > 1 {
        faults.push(format!(
            "Cargo.lock:1: rustls is linked in versions {rustls:?}; one is enough"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_crypto_stack_passes() {
        let tree = "muster v0.1.0 (/x)\nrustls v0.23.41\nrustls v0.23.41\naws-lc-rs v1.17.0\n";
        assert_eq!(external_rules(tree), Vec::<String>::new());
    }

    #[test]
    fn a_banned_package_is_found_at_any_depth() {
        let faults = external_rules("muster v0.1.0 (/x)\nring v0.17.14\n");
        assert!(faults[0].contains("`ring`"), "{faults:?}");
    }

    #[test]
    fn a_second_rustls_is_found() {
        let faults = external_rules("rustls v0.23.41\nrustls v0.21.12\n");
        assert!(faults[0].contains("v0.21.12"), "{faults:?}");
    }
}
