//! Files, folders and sockets of a device.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// The paths of one device. `--root` moves all of them, so that many devices live on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The paths under `root`; `/` is the machine itself. A relative `root` is taken
    /// from the current folder.
    pub fn under(root: &Path) -> std::io::Result<Self> {
        let absolute = std::path::absolute(root)?;
        // A link and its target are the same device.
        Ok(Self {
            root: absolute.canonicalize().unwrap_or(absolute),
        })
    }

    /// The folder that is the device's `/`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The start of the names of containers and networks of this device. It is empty for the device
    /// with the root `/`.
    #[must_use]
    pub fn name_prefix(&self) -> String {
        if self.root == Path::new("/") {
            return String::new();
        }
        let hash = digest(&SHA256, self.root.as_os_str().as_encoded_bytes());
        let short: String = hash
            .as_ref()
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("edge-{short}-")
    }

    /// A command as the owner of this device has to type it: `iotedge list`, or
    /// `iotedge list --root /srv/one`.
    #[must_use]
    pub fn command(&self, command: &str) -> String {
        if self.root == Path::new("/") {
            return command.to_owned();
        }
        let root = self.root.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
        if root.chars().all(plain) {
            format!("{command} --root {root}")
        } else {
            format!("{command} --root '{}'", root.replace('\'', r"'\''"))
        }
    }

    /// How the owner starts the daemon.
    #[must_use]
    pub fn start_hint(&self) -> String {
        let by_hand = self.command("aziot-edged run");
        if self.root == Path::new("/") {
            format!("start it with `systemctl start aziot-edged` or `{by_hand}`")
        } else {
            // The systemd unit belongs to the device with the root `/`.
            format!("start it with `{by_hand}`")
        }
    }

    /// `config.toml`: what the owner writes.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("etc/aziot/config.toml")
    }

    /// The applied copy, which the daemon reads.
    #[must_use]
    pub fn applied(&self) -> PathBuf {
        self.root.join("etc/aziot/edged/config.d/00-super.toml")
    }

    /// The state of the daemon.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/aziot/edged")
    }

    /// The certificates that are issued to the device.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.root.join("var/lib/aziot/certd")
    }

    /// The folder of the modules' own sockets. Only the daemon may enter it, because access to a
    /// module's socket is the module's credential.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.state().join("mnt")
    }

    /// The folder that a module's container sees as `/var/run/iotedge`.
    ///
    /// A folder is mounted and not the socket. After a restart the daemon makes a new socket, which
    /// a container could not see otherwise.
    #[must_use]
    pub fn module_folder(&self, module: &str) -> PathBuf {
        self.sockets().join(folder_name(module))
    }

    /// The path of a module's socket in Azure's runtime; a link into
    /// [`module_folder`](Self::module_folder).
    #[must_use]
    pub fn module_socket_link(&self, module: &str) -> PathBuf {
        self.sockets().join(format!("{module}.sock"))
    }

    /// The socket of the management API.
    #[must_use]
    pub fn management_socket(&self) -> PathBuf {
        self.root.join("run/iotedge/mgmt.sock")
    }

    /// The socket of the workload API for everybody.
    #[must_use]
    pub fn workload_socket(&self) -> PathBuf {
        self.root.join("run/iotedge/workload.sock")
    }

    /// The socket of the TPM service.
    #[must_use]
    pub fn tpm_socket(&self) -> PathBuf {
        self.root.join("run/aziot/tpmd.sock")
    }

    /// The socket of the Keys API.
    #[must_use]
    pub fn keys_socket(&self) -> PathBuf {
        self.root.join("run/aziot/keyd.sock")
    }

    /// The folder of the role that holds the keys. Nobody else enters it.
    #[must_use]
    pub fn keys_folder(&self) -> PathBuf {
        self.root.join("var/lib/aziot/keyd")
    }

    /// The files that give other users of the machine a right to keys.
    #[must_use]
    pub fn key_principals(&self) -> PathBuf {
        self.root.join("etc/aziot/keyd/config.d")
    }

    /// Where earlier versions had the key from which those of modules are derived.
    #[must_use]
    pub fn earlier_master_key(&self) -> PathBuf {
        self.state().join("master-key")
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("var/log/aziot/aziot-edged.log")
    }

    /// The file that the running daemon locks.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("run/iotedge/aziot-edged.lock")
    }

    /// The level that `iotedge system set-log-level` chose.
    #[must_use]
    pub fn log_level(&self) -> PathBuf {
        self.state().join("log-level")
    }
}

/// A file name for a module. Its own name may be special, such as `..`, or may be the name of
/// another module's link. `~` is in no module's name.
fn folder_name(module: &str) -> String {
    let plain = module != "." && module != ".." && !module.ends_with(".sock");
    if plain && !module.contains('/') {
        return module.to_owned();
    }
    let hash = digest(&SHA256, module.as_bytes());
    let half = hash.as_ref().iter().take(16);
    half.fold("~".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A8: the folder of a module named `..` was the daemon's state, with its master key.
    #[test]
    fn every_module_has_a_folder_of_its_own_below_the_sockets() {
        let paths = Paths::under(Path::new("/d")).unwrap();
        let names = [
            ".",
            "..",
            "a",
            "a.sock",
            "a.sock.sock",
            ".sock",
            "../x",
            "...",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            let (folder, link) = (paths.module_folder(name), paths.module_socket_link(name));
            for path in [folder, link] {
                let last = path.file_name().unwrap_or_default().to_owned();
                let is_within = path.parent() == Some(paths.sockets().as_path());
                assert!(
                    name == "../x" || (is_within && seen.insert(last)),
                    "{name}: {}",
                    path.display()
                );
            }
            assert_eq!(
                paths.module_folder(name).parent(),
                Some(paths.sockets().as_path()),
                "{name}"
            );
        }
        assert_eq!(
            paths.module_folder("a"),
            Path::new("/d/var/lib/aziot/edged/mnt/a")
        );
    }

    #[test]
    fn hints_name_the_root_that_they_are_about() {
        let hint = |root: &str| {
            Paths::under(Path::new(root))
                .unwrap()
                .command("iotedge list")
        };
        assert_eq!(hint("/"), "iotedge list");
        assert_eq!(hint("/srv/one"), "iotedge list --root /srv/one");
        assert_eq!(
            hint("/srv/o'ne two"),
            r"iotedge list --root '/srv/o'\''ne two'"
        );
        let one = Paths::under(Path::new("/srv/one")).unwrap();
        assert_eq!(
            one.start_hint(),
            "start it with `aziot-edged run --root /srv/one`"
        );
    }

    #[test]
    fn only_devices_below_a_folder_have_a_prefix() {
        assert_eq!(Paths::under(Path::new("/")).unwrap().name_prefix(), "");
        let one = Paths::under(Path::new("/tmp/one")).unwrap();
        let two = Paths::under(Path::new("/tmp/two")).unwrap();
        assert_ne!(one.name_prefix(), two.name_prefix());
        assert_eq!(one.name_prefix().len(), "edge-12345678-".len());
        assert_eq!(
            one.management_socket(),
            Path::new("/tmp/one/run/iotedge/mgmt.sock")
        );
    }
}
