//! Which user of the machine may use which key.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::KeyId;

/// The largest file, bytes.
const MAX_FILE: u64 = 64 * 1024;
/// How many files are read.
const MAX_FILES: usize = 32;

/// The users that may use keys: root, the user of the role, the user of the daemon, and those that
/// files of the administrator name, Azure's `/etc/aziot/keyd/config.d/*.toml`:
///
/// ```toml
/// [[principal]]
/// uid = 1000
/// keys = ["my-key", "line-*"]
/// ```
///
/// The files are read each time another user asks.
#[derive(Debug, Clone)]
pub struct Principals {
    folder: PathBuf,
    trusted: Vec<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalFile {
    #[serde(default)]
    principal: Vec<Principal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    uid: u32,
    keys: Vec<String>,
}

impl Principals {
    /// `trusted` may use all keys, as root may.
    #[must_use]
    pub fn new(folder: &Path, trusted: &[u32]) -> Self {
        Self {
            folder: folder.to_owned(),
            trusted: trusted.to_vec(),
        }
    }

    pub(crate) fn may_use_all(&self, uid: u32) -> bool {
        uid == 0 || self.trusted.contains(&uid)
    }

    pub(crate) fn may_use(&self, uid: u32, id: &KeyId) -> bool {
        self.may_use_all(uid)
            || self.read().iter().any(|principal| {
                let mut keys = principal.keys.iter();
                principal.uid == uid && keys.any(|pattern| fits(pattern, id.as_str()))
            })
    }

    fn read(&self) -> Vec<Principal> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(
                        path = %self.folder.display(),
                        error = %error,
                        "the folder of principals cannot be read; it gives nobody a right"
                    );
                }
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .collect();
        paths.sort();
        let files = paths.iter().take(MAX_FILES);
        files.flat_map(|path| read_file(path)).collect()
    }
}

/// A file with anything else in it gives nobody a right.
fn read_file(path: &Path) -> Vec<Principal> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    let text = match size <= MAX_FILE {
        true => fs::read_to_string(path).map_err(|error| error.to_string()),
        false => Err(format!("it has more than {MAX_FILE} bytes")),
    };
    let read = text.and_then(|text| parse(&text));
    read.unwrap_or_else(|error| {
        tracing::warn!(
            path = %path.display(),
            error,
            "a file of principals cannot be read; it gives nobody a right"
        );
        Vec::new()
    })
}

fn parse(text: &str) -> Result<Vec<Principal>, String> {
    let file: PrincipalFile = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.principal)
}

/// Whether a text fits a pattern, in which `*` stands for any characters and `?` for one.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // The last star, and where what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&one) if one == '?' || one == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((back, end)) => {
                    star = Some((back, end + 1));
                    (at, place) = (back + 1, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text, wanted) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*b*", "abc", true),
            ("??", "ab", true),
            ("?", "", false),
            ("*", "", true),
            ("", "", true),
            ("a**b?", "axxbbc", true),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn only_named_users_use_named_keys() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[[principal]]\nuid = 7\nkeys = [\"line-*\", \"one\"]\n";
        fs::write(dir.path().join("10-line.toml"), text).unwrap();
        let broken = "[[principal]]\nuid = 8\nkeys = [\"*\"]\nname = \"x\"\n";
        fs::write(dir.path().join("20-broken.toml"), broken).unwrap();
        let principals = Principals::new(dir.path(), &[1000]);
        let may = |uid, id| principals.may_use(uid, &KeyId::parse(id).unwrap());
        assert!(may(0, "any") && may(1000, "any"));
        assert!(may(7, "line-4") && may(7, "one"));
        assert!(!may(7, "device-id") && !may(8, "one") && !may(9, "one"));
    }
}
