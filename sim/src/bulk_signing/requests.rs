use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use ids::Thumbprint;

use crate::write_request;

/// Names, and the SHA-256 of their public keys.
pub(super) type Expected = HashMap<String, Thumbprint>;

/// One file for each request.
pub(super) fn write_all(dir: &Path, count: usize) -> Result<Expected> {
    std::fs::create_dir(dir)?;
    let one = |number| {
        let name = format!("device-{number:06}");
        let key = write_request(&dir.join(format!("{name}.csr")), &name)?;
        Ok((name, key))
    };
    (1..=count).map(one).collect()
}
