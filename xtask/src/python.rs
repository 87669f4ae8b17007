//! A Python with the unmodified SDKs and second opinions on certificates, for the stories that need
//! them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::console::say;
use crate::package;
use crate::workspace::{Workspace, run};

/// The SDKs exactly as PyPI has them: for devices, for operators of hubs, and two generations of
/// the one for operators of the provisioning service. The older ones need `six` without saying so.
const SDKS: [&str; 5] = [
    "azure-iot-device==2.14.0",
    "azure-iot-hub==2.7.0",
    "azure-iothub-provisioningserviceclient==1.2.0",
    "azure-iot-deviceprovisioning==1.0.0b1",
    "six==1.17.0",
];

/// A linter of certificates, revocation lists and OCSP answers, and a library that reads them on
/// OpenSSL.
const SECOND_OPINIONS: [&str; 2] = ["pkilint==0.13.3", "cryptography==46.0.7"];

/// The interpreter of `target/xtask/venv`, made and filled when it is not.
pub(crate) fn interpreter(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let venv = workspace.scratch("venv")?;
    let python = venv.join("bin/python");
    let installed = venv.join("installed");
    let packages = [&SDKS[..], &SECOND_OPINIONS].concat();
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.is_file() {
        return Ok(python);
    }
    package::ensure("python3", "python3")?;
    say(format!(
        "installing the packages for Python into {}",
        venv.display()
    ));
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))
    .context("Python 3 with its venv module is needed (Debian: python3-venv)")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(&packages))
    .with_context(|| format!("cannot install {}", packages.join(", ")))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}
