//! The permissions of the device's files: one table of paths and modes, checked at every start.
//!
//! Files are made with their mode. But an earlier version, a restored copy or a careless `chmod -R`
//! leaves others: files that are open too widely are closed and logged.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::files::durable::{self, DurableError, make_folder, private_folder};
use crate::files::paths::Paths;

/// For the daemon's user only.
pub const PRIVATE_FILE: u32 = 0o600;
/// For the daemon's user only.
pub const PRIVATE_FOLDER: u32 = 0o700;
/// Everybody may list and enter it.
pub const OPEN_FOLDER: u32 = 0o755;
/// The daemon's log: for its user, and a group that reads logs.
pub const LOG_FILE: u32 = 0o640;

/// Why the daemon cannot use the existing files.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    File(#[from] DurableError),
    /// Its owner could exchange everything in it.
    #[error(
        "{} belongs to the user with number {owner}, but this runs as {user}; run it as that \
         user, or make that user the folder's owner: chown -R {user} {}",
        path.display(), path.display()
    )]
    OtherOwner {
        path: PathBuf,
        owner: u32,
        /// The user who runs the daemon.
        user: u32,
    },
    #[error("{} is not a folder; move it away", .0.display())]
    NotAFolder(PathBuf),
}

/// The kind of a path in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Is made if it is missing, and must belong to the daemon's user.
    OwnFolder,
    /// Is made if it is missing.
    Folder,
    /// May be missing.
    File,
    /// All files of a folder with this prefix.
    Files(&'static str),
}

/// A file or folder whose mode was too wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowed {
    pub path: PathBuf,
    pub was: u32,
    pub is: u32,
}

/// The widest allowed mode of all files of the daemon.
fn table(paths: &Paths) -> Vec<(PathBuf, Kind, u32)> {
    let folder_of = |path: PathBuf| path.parent().unwrap_or(paths.root()).to_owned();
    let (applied, run, logs) = (
        folder_of(paths.applied()),
        folder_of(paths.management_socket()),
        folder_of(paths.log()),
    );
    vec![
        // The master key, the assignment, restart counts, and desired properties, which may hold
        // passwords of registries.
        (paths.state(), Kind::OwnFolder, PRIVATE_FOLDER),
        (paths.state(), Kind::Files(""), PRIVATE_FILE),
        (paths.certificates(), Kind::OwnFolder, PRIVATE_FOLDER),
        (paths.certificates(), Kind::Files(""), PRIVATE_FILE),
        // Access to a module's socket is the module's credential. The engine mounts the folders
        // below as root, or as this user.
        (paths.sockets(), Kind::OwnFolder, PRIVATE_FOLDER),
        // The applied copy may hold passwords in [agent.env].
        (folder_of(applied.clone()), Kind::OwnFolder, PRIVATE_FOLDER),
        (applied.clone(), Kind::OwnFolder, PRIVATE_FOLDER),
        (applied, Kind::Files(""), PRIVATE_FILE),
        // Everybody may read what is public, and the owner's group manages the device. The modes of
        // the sockets decide.
        (run, Kind::Folder, OPEN_FOLDER),
        // A user who can open it can lock it, and then no daemon starts.
        (paths.lock(), Kind::File, PRIVATE_FILE),
        (logs.clone(), Kind::Folder, OPEN_FOLDER),
        (logs, Kind::Files("aziot-edged.log"), LOG_FILE),
    ]
}

/// Makes the folders of a device, and narrows the modes of existing files and folders.
pub fn narrow(paths: &Paths) -> Result<Vec<Narrowed>, AccessError> {
    let mut narrowed = Vec::new();
    for (path, kind, mode) in table(paths) {
        match kind {
            Kind::OwnFolder | Kind::Folder => folder(&path, kind, mode, &mut narrowed)?,
            Kind::File => narrowed.extend(file(&path, mode)?),
            Kind::Files(prefix) => {
                for path in files(&path, prefix)? {
                    narrowed.extend(file(&path, mode)?);
                }
            }
        }
    }
    durable::sync_above(&paths.sockets(), paths.root())?;
    durable::sync_above(&paths.applied(), paths.root())?;
    Ok(narrowed)
}

fn folder(
    path: &Path,
    kind: Kind,
    mode: u32,
    narrowed: &mut Vec<Narrowed>,
) -> Result<(), AccessError> {
    let Some(about) = metadata(path)? else {
        match kind {
            Kind::OwnFolder => private_folder(path)?,
            _ => make_folder(path)?,
        }
        return Ok(());
    };
    if !about.is_dir() {
        return Err(AccessError::NotAFolder(path.to_owned()));
    }
    let user = geteuid().as_raw();
    if kind == Kind::OwnFolder && about.uid() != user {
        return Err(AccessError::OtherOwner {
            path: path.to_owned(),
            owner: about.uid(),
            user,
        });
    }
    narrowed.extend(close(path, &about, mode)?);
    Ok(())
}

fn file(path: &Path, mode: u32) -> Result<Option<Narrowed>, DurableError> {
    match metadata(path)? {
        Some(about) if about.is_file() => close(path, &about, mode),
        _ => Ok(None),
    }
}

/// Never widens a mode: the owner may have chosen a narrower one.
fn close(path: &Path, about: &Metadata, mode: u32) -> Result<Option<Narrowed>, DurableError> {
    let was = about.permissions().mode() & 0o7777;
    if was & 0o777 & !mode == 0 {
        return Ok(None);
    }
    let is = was & mode;
    let set = fs::set_permissions(path, Permissions::from_mode(is));
    set.map_err(|source| DurableError::Io {
        what: "narrow the mode of",
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(Narrowed {
        path: path.to_owned(),
        was,
        is,
    }))
}

fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, DurableError> {
    let failed = |source| DurableError::Io {
        what: "read the folder",
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link was made by somebody else, and so was its target.
        let is_file = entry.file_type().map_err(failed)?.is_file();
        if is_file
            && entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(prefix.as_bytes())
        {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn metadata(path: &Path) -> Result<Option<Metadata>, DurableError> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DurableError::Io {
            what: "look at",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn device() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path()).unwrap();
        (dir, paths)
    }

    /// "A file of the device is created with its mode and the mode is checked at start for
    /// what is already there".
    #[test]
    fn a_file_that_is_open_too_widely_is_closed_and_named() {
        let (_dir, paths) = device();
        let (state, applied) = (paths.state(), paths.applied());
        fs::create_dir_all(paths.sockets()).unwrap();
        fs::create_dir_all(applied.parent().unwrap()).unwrap();
        fs::create_dir_all(paths.log().parent().unwrap()).unwrap();
        fs::create_dir_all(paths.lock().parent().unwrap()).unwrap();
        let expected = [
            (state.clone(), 0o755, 0o700),
            (paths.sockets(), 0o777, 0o700),
            (state.join("master-key"), 0o644, 0o600),
            (state.join("desired.json"), 0o666, 0o600),
            (state.join(".modules.json.new"), 0o640, 0o600),
            (applied.clone(), 0o644, 0o600),
            (applied.parent().unwrap().to_owned(), 0o755, 0o700),
            (paths.lock(), 0o644, 0o600),
            (paths.lock().parent().unwrap().to_owned(), 0o777, 0o755),
            (paths.log(), 0o666, 0o640),
            (
                PathBuf::from(format!("{}.1", paths.log().display())),
                0o644,
                0o640,
            ),
            // Narrower than the table: left.
            (paths.log().parent().unwrap().to_owned(), 0o750, 0o750),
            (state.join("restarts.json"), 0o400, 0o400),
        ];
        for (path, wide, _) in &expected {
            if !path.is_dir() {
                fs::write(path, "x").unwrap();
            }
            fs::set_permissions(path, Permissions::from_mode(*wide)).unwrap();
        }
        let narrowed = narrow(&paths).unwrap();
        for (path, wide, closed) in &expected {
            assert_eq!(mode(path), *closed, "{}", path.display());
            let was_named = narrowed
                .iter()
                .any(|narrowed| narrowed.path == *path && narrowed.was == *wide);
            assert_eq!(was_named, wide != closed, "{}", path.display());
        }
        assert_eq!(narrow(&paths).unwrap(), [], "nothing is left to close");
    }

    #[test]
    fn a_new_device_gets_its_folders_whatever_the_umask_is() {
        let (_dir, paths) = device();
        assert_eq!(narrow(&paths).unwrap(), []);
        assert_eq!(mode(&paths.state()), 0o700);
        assert_eq!(mode(&paths.sockets()), 0o700);
        assert_eq!(mode(paths.applied().parent().unwrap()), 0o700);
        assert_eq!(mode(paths.lock().parent().unwrap()), 0o755);
        assert_eq!(mode(&paths.root().join("var/lib/aziot")), 0o755);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_named() {
        let (_dir, paths) = device();
        fs::create_dir_all(paths.state()).unwrap();
        fs::write(paths.sockets(), "").unwrap();
        let error = narrow(&paths).unwrap_err().to_string();
        assert!(
            error.ends_with("edged/mnt is not a folder; move it away"),
            "{error}"
        );
    }

    /// Only root can give a folder away, so that only root can try this.
    #[test]
    fn a_state_folder_of_somebody_else_is_refused() {
        let (_dir, paths) = device();
        fs::create_dir_all(paths.state()).unwrap();
        let user = geteuid().as_raw();
        let given = std::os::unix::fs::chown(paths.state(), Some(65_534), None);
        assert_eq!(given.is_ok(), user == 0, "root can, others cannot");
        match narrow(&paths) {
            Err(error) => {
                let message = error.to_string();
                let expected = format!(
                    "edged belongs to the user with number 65534, but this runs as {user}; \
                     run it as that user"
                );
                assert!(message.contains(&expected), "{message}");
                assert_eq!(user, 0);
            }
            Ok(_) => assert_ne!(user, 0),
        }
    }
}
