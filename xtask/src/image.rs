//! The simulated temperature sensor as an image, without a registry: one
//! static program in one layer, packed as `docker save` would.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::console::say;
use crate::docker;
use crate::workspace::{Workspace, capture, run};

/// Name and tag under which deployments ask for it.
pub(crate) const SENSOR_IMAGE: &str = "muster/simulated-temperature-sensor:1.0";

/// The program's place in the image.
const PROGRAM: &str = "simulated-temperature-sensor";

/// Builds the sensor and loads it into the engine.
pub(crate) fn load_sensor(workspace: &Workspace, engine: &docker::Engine) -> anyhow::Result<()> {
    let program = build_static(workspace)?;
    let archive = pack(workspace, &program)?;
    engine.load(&archive)?;
    say(format!(
        "loaded {SENSOR_IMAGE} ({:.1} MB)",
        megabytes(archive.len())
    ));
    Ok(())
}

/// Builds the sensor for the host with the C library linked in, so that an
/// empty image can run it.
fn build_static(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let triple = workspace.host_triple()?;
    let target = workspace.target().join("static");
    let variable = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        triple.to_uppercase().replace('-', "_")
    );
    run(workspace
        .cargo("build")
        .args([
            "--quiet",
            "--locked",
            "--package",
            "sensor",
            "--profile",
            "module",
        ])
        .arg("--target")
        .arg(&triple)
        .arg("--target-dir")
        .arg(&target)
        .env(variable, "-C target-feature=+crt-static"))?;
    Ok(target.join(triple).join("module").join(PROGRAM))
}

/// An archive in the form of the image specification v1.2: `manifest.json`,
/// one configuration named by its digest, one layer.
fn pack(workspace: &Workspace, program: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(program)
        .with_context(|| format!("cannot read the built sensor {}", program.display()))?;
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, PROGRAM, &bytes, 0o755)?;
    let layer = layer.into_inner()?;
    let configuration = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Entrypoint": [format!("/{PROGRAM}")],
            "User": "1000:1000",
            "Labels": { "org.opencontainers.image.title": PROGRAM },
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(workspace, &layer)?] },
    })
    .to_string();
    let configuration_digest = digest(workspace, configuration.as_bytes())?;
    let configuration_name = format!(
        "{}.json",
        configuration_digest.trim_start_matches("sha256:")
    );
    let manifest = json!([{
        "Config": configuration_name,
        "RepoTags": [SENSOR_IMAGE],
        "Layers": ["layer.tar"],
    }])
    .to_string();
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "manifest.json", manifest.as_bytes(), 0o644)?;
    append(
        &mut archive,
        &configuration_name,
        configuration.as_bytes(),
        0o644,
    )?;
    append(&mut archive, "layer.tar", &layer, 0o644)?;
    Ok(archive.into_inner()?)
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> anyhow::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len().try_into()?);
    header.set_mode(mode);
    header.set_cksum();
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}

/// `sha256:…` by the system's `sha256sum`: xtask links no cryptography.
fn digest(workspace: &Workspace, bytes: &[u8]) -> anyhow::Result<String> {
    let file = tempfile::NamedTempFile::new_in(workspace.scratch("image")?)?;
    std::fs::write(file.path(), bytes)?;
    let line = capture(std::process::Command::new("sha256sum").arg(file.path()))?;
    let hex = line
        .split_whitespace()
        .next()
        .context("sha256sum printed nothing")?;
    Ok(format!("sha256:{hex}"))
}

/// The image specification names architectures as Go does.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
