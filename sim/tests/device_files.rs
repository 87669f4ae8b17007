//! Who may use the files of a device.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sim::{Program, binary, run, until};

/// SHA-256 of `aziot_identityd_master_id`.
const MASTER_DIGEST: &str = "91b92c2c06a5a5dda5fbc9c48b4d428d930b9c1b8b2956a1044ccbc7a266afc9";

fn mode(path: &Path) -> Result<u32> {
    let about = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(about.permissions().mode() & 0o777)
}

async fn running_daemon(root: &Path) -> Result<Program> {
    let mut command = Command::new(binary("aziot-edged")?);
    command.args(["run", "--root"]).arg(root);
    let daemon = Program::start(command, &root.join("daemon.log"))?;
    let arguments = ["system", "status", "--root", &*root.to_string_lossy()];
    until("the daemon answers", Duration::from_secs(20), || async {
        let status = run(&binary("iotedge")?, arguments)?;
        ensure!(status.stdout.contains("Running"), "{status:?}");
        Ok(())
    })
    .await?;
    Ok(daemon)
}

/// Devices of earlier versions, restored backups, and `chmod -R` leave files that others
/// can read: they are closed before anything is done with them, and the log says so.
#[tokio::test]
async fn what_others_could_use_is_closed_when_the_daemon_starts() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    let state = root.join("var/lib/aziot/edged");
    let (sockets, key, run_folder) = (
        state.join("mnt"),
        state.join("master-key"),
        root.join("run/iotedge"),
    );
    fs::create_dir_all(&sockets)?;
    fs::create_dir_all(&run_folder)?;
    fs::write(&key, [7; 32])?;
    for (path, open) in [
        (&state, 0o755),
        (&sockets, 0o755),
        (&key, 0o644),
        (&run_folder, 0o777),
    ] {
        fs::set_permissions(path, Permissions::from_mode(open))?;
    }

    // The process that holds the keys takes it over, under Azure's name.
    let kept = root
        .join("var/lib/aziot/keyd/keys")
        .join(format!("aziotidentitydmasterid-{MASTER_DIGEST}.key"));
    let mut daemon = running_daemon(root).await?;
    for (path, closed) in [
        (state.clone(), 0o700),
        (sockets, 0o700),
        (root.join("var/lib/aziot/keyd"), 0o700),
        (kept.clone(), 0o600),
        (run_folder.clone(), 0o755),
        (run_folder.join("mgmt.sock"), 0o660),
        (run_folder.join("aziot-edged.lock"), 0o600),
        (root.join("var/log/aziot/aziot-edged.log"), 0o640),
        (root.join("etc/aziot/edged/config.d"), 0o700),
    ] {
        let found = mode(&path)?;
        ensure!(found == closed, "{} is {found:04o}", path.display());
    }
    ensure!(
        !key.exists() && fs::read(&kept)? == [7; 32],
        "the key stays"
    );
    let log = daemon.log();
    for path in [&state, &key] {
        let logged = log.lines().any(|line| {
            line.contains("they cannot any more") && line.contains(&*path.to_string_lossy())
        });
        ensure!(logged, "{} is not logged:\n{log}", path.display());
    }
    daemon.terminate()?;
    Ok(())
}

/// The owner of the folder could exchange the device's keys.
#[test]
fn a_state_folder_of_another_user_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("var/lib/aziot/edged");
    fs::create_dir_all(&state)?;
    std::os::unix::fs::chown(&state, Some(65_534), None).context("stories are run by root")?;
    let arguments = ["run", "--root", &*dir.path().to_string_lossy()];
    let ended = run(&binary("aziot-edged")?, arguments)?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let wanted = "belongs to the user with number 65534, but this runs as 0; run it as that \
                  user, or make that user the folder's owner: chown -R 0";
    ensure!(ended.stderr.contains(wanted), "{}", ended.stderr);
    Ok(())
}
