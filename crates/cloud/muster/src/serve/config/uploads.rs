//! The `[uploads]` table of the configuration file.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use hub::UploadOptions;
use serde::Deserialize;

const DEFAULT_MIB_PER_FILE: u32 = 1024;
const DEFAULT_MIB_FREE: u32 = 256;

/// Files that devices upload. Every key is optional; unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadsTable {
    directory: Option<PathBuf>,
    mib_per_file: Option<NonZeroU32>,
    mib_free: Option<u32>,
}

impl UploadsTable {
    pub fn options(self, data_dir: &Path) -> UploadOptions {
        let mib = self
            .mib_per_file
            .map_or(DEFAULT_MIB_PER_FILE, NonZeroU32::get);
        UploadOptions {
            directory: self.directory.unwrap_or_else(|| data_dir.join("uploads")),
            max_bytes: u64::from(mib) << 20,
            min_free: u64::from(self.mib_free.unwrap_or(DEFAULT_MIB_FREE)) << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_into_the_data_directory_unless_told_otherwise() {
        let options = |text| {
            let table: UploadsTable = toml::from_str(text).unwrap();
            let options = table.options(Path::new("/data"));
            (options.directory, options.max_bytes, options.min_free)
        };
        assert_eq!(
            options(""),
            (PathBuf::from("/data/uploads"), 1 << 30, 256 << 20)
        );
        let set = options("directory = \"/files\"\nmib_per_file = 5\nmib_free = 0");
        assert_eq!(set, (PathBuf::from("/files"), 5 << 20, 0));
        assert!(toml::from_str::<UploadsTable>("mib_per_file = 0").is_err());
        assert!(toml::from_str::<UploadsTable>("folder = \"/x\"").is_err());
    }
}
