use std::path::Path;

use pki::log::LogSigner;

use crate::CaError;
use crate::files::{self, Flush};

const FILE: &str = "certificate-log.key.der";

/// Opens the key of the log, or makes it. It is durable before anything is signed with it.
pub(super) fn open_or_create(dir: &Path) -> Result<LogSigner, CaError> {
    let path = dir.join(FILE);
    let failed = |source| CaError::LogKey {
        path: path.clone(),
        source,
    };
    if path.exists() {
        let der = files::read_bytes(&path)?;
        return LogSigner::from_pkcs8(&der).map_err(failed);
    }
    files::create_dir(dir, true)?;
    let signer = LogSigner::generate().map_err(failed)?;
    let der = signer.to_pkcs8().map_err(failed)?;
    files::write_private_bytes(&path, &der, Flush::Now)?;
    files::sync_dir(dir)?;
    Ok(signer)
}
