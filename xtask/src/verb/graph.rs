//! The crate graph: who may depend on whom, and the committed picture of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::console::say;
use crate::workspace::{Workspace, capture};

const PICTURE: &str = "graph.txt";

/// Which crates of ours each crate may name. A crate that is not here may
/// exist only after a decision record and a line here.
const ALLOWED: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("mqtt", &[]),
    ("wire", &["ids"]),
    ("pki", &["ids"]),
    ("store", &["ids"]),
    ("registry", &["ids", "wire", "store"]),
    ("ca", &["ids", "pki"]),
    ("dps", &["ids", "wire", "pki", "mqtt", "registry", "ca"]),
    ("hub", &["ids", "wire", "pki", "mqtt", "registry"]),
    ("device", &["ids", "wire", "pki", "mqtt"]),
    ("edge", &["ids", "wire", "pki", "mqtt", "device"]),
    ("sensor", &["ids", "wire", "device"]),
    (
        "muster",
        &[
            "ids", "wire", "pki", "mqtt", "store", "registry", "ca", "dps", "hub", "device",
        ],
    ),
    ("sim", &["ids", "wire", "pki", "ca", "device"]),
    ("xtask", &[]),
];

/// Crates that compile without I/O and so without a runtime.
const WITHOUT_TOKIO: [&str; 4] = ["ids", "mqtt", "wire", "pki"];

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
    /// Rewrite graph.txt.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let metadata = metadata(workspace)?;
    let crates = direct_dependencies(&metadata)?;
    let mut faults = layers(&crates);
    faults.extend(external_rules(&linked(workspace)?));
    let picture = draw(&crates);
    let path = workspace.root().join(PICTURE);
    if options.bless {
        std::fs::write(&path, &picture)
            .with_context(|| format!("cannot write {}", path.display()))?;
        say(format!("wrote {PICTURE}"));
    } else if std::fs::read_to_string(&path).unwrap_or_default() != picture {
        faults.push(format!(
            "{PICTURE}:1: the crate graph changed; look at it with `git diff` after `cargo xtask graph --bless`"
        ));
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

/// Direct normal dependencies by crate, all of them, by name.
type Crates = BTreeMap<String, Dependencies>;

#[derive(Default)]
struct Dependencies {
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

fn direct_dependencies(metadata: &Value) -> anyhow::Result<Crates> {
    let members = members(metadata)?;
    let names: Vec<&str> = members
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut crates = Crates::new();
    for package in &members {
        let name = package["name"].as_str().context("a package without name")?;
        let entry = crates.entry(name.to_owned()).or_default();
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

fn layers(crates: &Crates) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, dependencies) in crates {
        let manifest = manifest_of(name);
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            faults.push(format!(
                "{manifest}:1: crate `{name}` has no place in the layers; write a decision record and add it to xtask/src/verb/graph.rs"
            ));
            continue;
        };
        for target in &dependencies.ours {
            if !allowed.contains(&target.as_str()) {
                faults.push(format!(
                    "{manifest}:1: `{name}` may not depend on `{target}`; move what it needs to a crate below both"
                ));
            }
        }
        if WITHOUT_TOKIO.contains(&name.as_str())
            && dependencies.external.iter().any(|target| target == "tokio")
        {
            faults.push(format!(
                "{manifest}:1: `{name}` compiles without I/O and may not depend on tokio"
            ));
        }
    }
    faults
}

fn manifest_of(name: &str) -> String {
    match name {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{name}/Cargo.toml"),
    }
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
            format!("Cargo.lock:1: `{name}` is linked, but {why}; find who wants it with `cargo tree -i {name}`")
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

fn draw(crates: &Crates) -> String {
    let mut text = String::from(
        "# Which crate of ours names which (normal dependencies). Written by `cargo xtask graph --bless`.\n",
    );
    for (name, dependencies) in crates {
        let targets = match dependencies.ours.as_slice() {
            [] => "(none)".to_owned(),
            ours => ours.join(" "),
        };
        text.push_str(&format!("{name:<9} -> {targets}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, ours: &[&str], external: &[&str]) -> Crates {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Crates::from([(
            name.to_owned(),
            Dependencies {
                ours: own(ours),
                external: own(external),
            },
        )])
    }

    #[test]
    fn an_allowed_dependency_is_no_fault() {
        assert_eq!(
            layers(&one("wire", &["ids"], &["serde"])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_upward_dependency_is_a_fault() {
        let faults = layers(&one("edge", &["hub"], &[]));
        assert!(
            faults[0].contains("`edge` may not depend on `hub`"),
            "{faults:?}"
        );
    }

    #[test]
    fn tokio_below_is_a_fault() {
        assert_eq!(layers(&one("pki", &["ids"], &["tokio"])).len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        assert!(layers(&one("misc2", &[], &[]))[0].contains("decision record"));
    }

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
