//! The tasks that a new configuration concerns.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::Config;

/// What has to restart for a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    Cloud,
    /// The agent, and with it everything.
    Agent,
}

/// Compares configurations. `old_files` is the digest of the files when the old one was started.
///
/// What is not named here as a part of the connection concerns the agent, so that no new key of the
/// configuration can be forgotten.
pub(super) fn between(old: &Config, old_files: &[u8], new: &Config) -> Difference {
    let mut agent = new.clone();
    agent.source.clone_from(&old.source);
    agent.reprovisioning = old.reprovisioning;
    agent.cloud_timeout = old.cloud_timeout;
    agent.tpm.clone_from(&old.tpm);
    if agent != *old {
        Difference::Agent
    } else if old != new || old_files != digest_of_files(new) {
        Difference::Cloud
    } else {
        Difference::None
    }
}

/// A digest of the files that a configuration names: a certificate may be replaced under
/// the same file name. Keys are not read, only looked at from outside.
pub(super) fn digest_of_files(config: &Config) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    let keys = config.key_files();
    for file in config.files() {
        if keys.contains(&file) {
            context.update(format!("{:?}", stamp(&file.path)).as_bytes());
            continue;
        }
        match std::fs::read(&file.path) {
            Ok(bytes) => {
                context.update(&(bytes.len() as u64).to_be_bytes());
                context.update(&bytes);
            }
            Err(error) => context.update(error.to_string().as_bytes()),
        }
    }
    context.finish().as_ref().to_vec()
}

/// What changes when a file is replaced or written.
fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}
