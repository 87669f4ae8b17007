//! The public part of the log of issued certificates: its signed head, and hashes in tiles, of which
//! auditors make every proof themselves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use ca::DeviceIssuers;
use provisioning::Provisioning;
use wire::public_pki::{LOG_TILE_HEIGHT, LogTile};

use super::PublicError;
use crate::log::{StoredLog, origin};

/// The signed head of each service's log as it was last asked for, with its size. A head is signed
/// once for each size, however often it is asked for.
#[derive(Default)]
pub(super) struct Checkpoints(Mutex<HashMap<String, (u64, Bytes)>>);

impl Checkpoints {
    pub(super) fn current(
        &self,
        keys: &DeviceIssuers,
        service: &Provisioning,
    ) -> Result<(u64, Bytes), PublicError> {
        let origin = origin(service);
        let size = service.read_certificate_log(|log| log.size())?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = known.get(&origin)
            && current.0 >= size
        {
            return Ok(current.clone());
        }
        let signer = keys.log_signer()?;
        let head = service.read_certificate_log(|log| StoredLog(log).head(&origin))?;
        let current = (head.size, Bytes::from(signer.sign(&head)));
        known.insert(origin, current.clone());
        Ok(current)
    }
}

/// The public key of a service's log, a line.
pub(super) fn key(keys: &DeviceIssuers, service: &Provisioning) -> Result<Bytes, PublicError> {
    let key = keys.log_signer()?.key(&origin(service));
    Ok(Bytes::from(format!("{key}\n")))
}

/// The hashes of a tile; `None` when the log does not reach so far.
pub(super) fn tile(service: &Provisioning, tile: LogTile) -> Result<Option<Bytes>, PublicError> {
    let level = u32::from(tile.level) * LOG_TILE_HEIGHT;
    let Some(first) = tile.number.checked_mul(1 << LOG_TILE_HEIGHT) else {
        return Ok(None);
    };
    let hashes = service.read_certificate_log(|log| log.nodes(level, first, tile.width))?;
    let is_whole = hashes.len() == usize::from(tile.width);
    Ok(is_whole.then(|| Bytes::from(hashes.concat())))
}
