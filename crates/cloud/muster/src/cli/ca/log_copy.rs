//! A folder with a copy of the log of a service: the hashes of all its certificates, and every
//! signed head that was fetched. Its files lie as the server publishes them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use pki::log::{Checkpoint, LogHash, LogKey, LogTree, tree_hash};
use wire::public_pki::{LOG_TILE_WIDTH, LogTile};

const KEY: &str = "key";
const HEAD: &str = "checkpoint";
/// The folder of all heads, by size.
const HEADS: &str = "checkpoints";

/// A folder, whatever is in it.
#[derive(Debug)]
pub struct LogCopy {
    dir: PathBuf,
}

/// What a folder holds: all heads are of one log, whose certificates have these hashes.
#[derive(Debug, Default)]
pub struct VerifiedLog {
    pub tree: LogTree,
    /// The smallest first.
    pub heads: Vec<Checkpoint>,
}

impl VerifiedLog {
    /// The latest head.
    pub fn head(&self) -> Option<&Checkpoint> {
        self.heads.last()
    }
}

/// The tiles of the leaves from `from` to before `to`, also the one in which `from` is.
pub fn leaf_tiles(from: u64, to: u64) -> impl Iterator<Item = LogTile> {
    let width = u64::from(LOG_TILE_WIDTH);
    (from / width..to.div_ceil(width)).map(move |number| LogTile {
        level: 0,
        number,
        width: u16::try_from(to - number * width)
            .map_or(LOG_TILE_WIDTH, |rest| rest.min(LOG_TILE_WIDTH)),
    })
}

/// The hashes of a tile; an error when it has another length.
pub fn hashes(bytes: &[u8], tile: LogTile) -> anyhow::Result<&[LogHash]> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let fits = rest.is_empty() && hashes.len() == usize::from(tile.width);
    ensure!(fits, "{tile} has {} bytes", bytes.len());
    Ok(hashes)
}

impl LogCopy {
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The key of the log; `None` in a new folder.
    pub fn key(&self) -> anyhow::Result<Option<LogKey>> {
        let text = self.text(KEY)?;
        let key = text.map(|text| LogKey::parse(&text)).transpose();
        key.with_context(|| format!("{} cannot be used", self.dir.join(KEY).display()))
    }

    pub fn keep_key(&self, key: &LogKey) -> anyhow::Result<()> {
        self.write(KEY, format!("{key}\n").as_bytes())
    }

    fn text(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        let cannot = || format!("cannot write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&self.dir)).with_context(cannot)?;
        let new = path.with_added_extension("new");
        fs::write(&new, content).with_context(cannot)?;
        fs::rename(&new, &path).with_context(cannot)
    }

    /// Keeps tiles, and then the head that they were verified with.
    pub fn keep(
        &self,
        tiles: &[(LogTile, Vec<u8>)],
        head: &Checkpoint,
        note: &str,
    ) -> anyhow::Result<()> {
        for (tile, hashes) in tiles {
            self.write(&tile.to_string(), hashes)?;
        }
        self.write(&format!("{HEADS}/{}", head.size), note.as_bytes())?;
        self.write(HEAD, note.as_bytes())
    }

    /// Reads all of it and verifies that every head is one of the log, and that each begins with
    /// the ones before it.
    pub fn verify(&self, key: &LogKey) -> anyhow::Result<VerifiedLog> {
        let heads = self.heads(key)?;
        let Some(last) = heads.last() else {
            return Ok(VerifiedLog::default());
        };
        let mut tree = LogTree::default();
        for tile in leaf_tiles(0, last.size) {
            self.read_tile(tile)?
                .into_iter()
                .for_each(|hash| tree.push(hash));
        }
        for head in &heads {
            let holds = tree_hash(&tree, head.size) == Ok(head.root);
            ensure!(
                holds,
                "the hashes in {} are not those of the log of {} certificates whose checkpoint is \
                 there: a file was altered, or the log was rewritten",
                self.dir.display(),
                head.size
            );
        }
        Ok(VerifiedLog { tree, heads })
    }

    /// A tile of leaves. One that is not complete may be there in a longer form.
    fn read_tile(&self, tile: LogTile) -> anyhow::Result<Vec<LogHash>> {
        for width in tile.width..=LOG_TILE_WIDTH {
            let longer = LogTile { width, ..tile };
            let path = self.dir.join(longer.to_string());
            match fs::read(&path) {
                Ok(bytes) => {
                    let all = hashes(&bytes, longer)?;
                    return Ok(all[..usize::from(tile.width)].to_vec());
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                }
            }
        }
        bail!("{} is not there", self.dir.join(tile.to_string()).display())
    }

    fn heads(&self, key: &LogKey) -> anyhow::Result<Vec<Checkpoint>> {
        let folder = self.dir.join(HEADS);
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", folder.display()));
            }
        };
        let mut heads = Vec::new();
        for file in files {
            let path = file
                .with_context(|| format!("cannot read {}", folder.display()))?
                .path();
            // A write that was interrupted.
            if path.extension().is_some_and(|extension| extension == "new") {
                continue;
            }
            let note = fs::read_to_string(&path);
            let note = note.with_context(|| format!("cannot read {}", path.display()))?;
            let head = key.open(&note);
            heads.push(head.with_context(|| format!("{} does not hold", path.display()))?);
        }
        heads.sort_by_key(|head| head.size);
        Ok(heads)
    }
}
