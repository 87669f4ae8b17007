use std::fs;
use std::path::{Path, PathBuf};

use super::TokenError;

/// Where p11-kit looks for files that register PKCS#11 libraries of the machine. Only its
/// administrator writes there.
const REGISTRIES: [&str; 2] = ["/etc/pkcs11/modules", "/usr/share/p11-kit/modules"];

/// The PKCS#11 libraries that may be loaded. Loading a library runs its code in the program, so a
/// request of somebody else can only choose one of these.
#[derive(Debug, Clone)]
pub struct AllowedLibraries(Allowed);

#[derive(Debug, Clone)]
enum Allowed {
    /// Those that `muster serve` was started with, and those that are registered with p11-kit.
    Only(Vec<PathBuf>),
    /// What the configuration of the program itself names.
    Any,
}

impl Default for AllowedLibraries {
    fn default() -> Self {
        Self(Allowed::Only(Vec::new()))
    }
}

impl AllowedLibraries {
    /// Allows `named`, and what is registered on the machine.
    #[must_use]
    pub fn of_machine(named: &[PathBuf]) -> Self {
        let registered = REGISTRIES.iter().flat_map(|dir| registered(Path::new(dir)));
        Self(Allowed::Only(
            named.iter().cloned().chain(registered).collect(),
        ))
    }

    /// Allows every library: only the administrator of the machine names them.
    #[must_use]
    pub fn any() -> Self {
        Self(Allowed::Any)
    }

    /// The file that is loaded for `path`.
    pub(super) fn find(&self, path: &Path) -> Result<PathBuf, TokenError> {
        let refused = || TokenError::NotAllowed {
            library: path.to_owned(),
        };
        let known = match &self.0 {
            Allowed::Any => return Ok(path.to_owned()),
            Allowed::Only(known) => known,
        };
        let wanted = path.canonicalize().map_err(|_| refused())?;
        let mut allowed = known.iter().filter_map(|one| one.canonicalize().ok());
        allowed.find(|one| *one == wanted).ok_or_else(refused)
    }
}

/// The libraries that the files of a p11-kit folder name by their full path. `module: NAME` without
/// a path is in a folder that depends on the distribution, and has to be named to the server.
fn registered(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|e| e == "module"));
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.filter_map(|text| module(&text)).collect()
}

fn module(text: &str) -> Option<PathBuf> {
    let mut lines = text.lines();
    let path = lines.find_map(|line| line.trim().strip_prefix("module:"))?;
    let path = PathBuf::from(path.trim());
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_that_the_machine_names_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (named, other) = (dir.path().join("a.so"), dir.path().join("b.so"));
        fs::write(&named, "").unwrap();
        fs::write(&other, "").unwrap();
        let allowed = AllowedLibraries(Allowed::Only(vec![named.clone()]));
        let detour = dir.path().join("x/../a.so");
        fs::create_dir(dir.path().join("x")).unwrap();
        assert!(allowed.find(&named).is_ok() && allowed.find(&detour).is_ok());
        let refused = allowed.find(&other).unwrap_err().to_string();
        assert!(refused.contains("--pkcs11-library"), "{refused}");
        assert!(allowed.find(&dir.path().join("none.so")).is_err());
    }

    #[test]
    fn registered_modules_are_those_with_a_full_path() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            (
                "a.module",
                "# softhsm\nmodule: /usr/lib/softhsm/libsofthsm2.so\n",
            ),
            ("b.module", "module: opensc-pkcs11.so\n"),
            ("c.txt", "module: /usr/lib/c.so\n"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let found = registered(dir.path());
        assert_eq!(found, [PathBuf::from("/usr/lib/softhsm/libsofthsm2.so")]);
    }
}
