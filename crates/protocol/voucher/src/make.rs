//! New vouchers, and new endorsements of them.

use std::collections::{BTreeMap, BTreeSet};

use ids::{RegistrationId, Timestamp};
use pki::{PrivateKey, VerifyingKey};

use crate::device::{digest_of, distinct};
use crate::link::{BATCH, BatchPayload, ENDORSEMENT, EndorsementPayload, SignedLink, key_text};
use crate::verify::VerifiedVoucher;
use crate::{Device, FORMAT, MAX_DEVICES, MAX_ENDORSEMENTS, UnverifiedVoucher, VoucherError};

/// Makes the voucher of a batch. Its maker is its first owner.
///
/// # Errors
/// When there are no devices, too many, two of one id, or one whose certificate has another name.
pub fn create(
    devices: &[Device],
    maker: &PrivateKey,
    created: Timestamp,
) -> Result<UnverifiedVoucher, VoucherError> {
    if devices.is_empty() {
        return Err(VoucherError::NoDevices("the batch".to_owned()));
    }
    if devices.len() > MAX_DEVICES {
        return Err(VoucherError::TooManyDevices);
    }
    distinct(devices.iter())?;
    let mut entries = BTreeMap::new();
    for device in devices {
        let entry = device.to_entry()?;
        entries.insert(digest_of(&entry), entry);
    }
    let payload = BatchPayload {
        created,
        maker: key_text(&maker.verifying_key()?),
        devices: entries.keys().cloned().collect(),
    };
    Ok(UnverifiedVoucher {
        voucher: FORMAT.to_owned(),
        batch: SignedLink::sign(BATCH, &payload, maker)?,
        endorsements: Vec::new(),
        devices: entries.into_values().collect(),
    })
}

impl VerifiedVoucher {
    /// Passes the batch, or some of its devices, on to the next owner. The entries of other
    /// devices are left out.
    ///
    /// # Errors
    /// When `owner` is not the key of the present owner, or a device is not in the voucher.
    pub fn endorse(
        &self,
        owner: &PrivateKey,
        next: &VerifyingKey,
        some: Option<&[RegistrationId]>,
        created: Timestamp,
    ) -> Result<UnverifiedVoucher, VoucherError> {
        let own = owner.verifying_key()?;
        if own != *self.owner() {
            return Err(VoucherError::Owner {
                found: self.owner().fingerprint().to_string(),
                wanted: own.fingerprint().to_string(),
            });
        }
        if self.voucher.endorsements.len() >= MAX_ENDORSEMENTS {
            return Err(VoucherError::TooManyEndorsements);
        }
        let mut entries: Vec<String> = self.voucher.devices.clone();
        let mut listed = None;
        if let Some(some) = some {
            let kept = self.positions(some)?;
            entries = kept.iter().map(|at| entries[*at].clone()).collect();
            listed = Some(entries.iter().map(|entry| digest_of(entry)).collect());
        }
        let mut voucher = self.voucher.clone();
        let previous = voucher.endorsements.last().unwrap_or(&voucher.batch);
        let payload = EndorsementPayload {
            created,
            previous: previous.digest(),
            owner: key_text(next),
            devices: listed,
        };
        let link = SignedLink::sign(ENDORSEMENT, &payload, owner)?;
        voucher.endorsements.push(link);
        voucher.devices = entries;
        Ok(voucher)
    }

    /// The positions of devices, in the order of the voucher.
    fn positions(&self, some: &[RegistrationId]) -> Result<BTreeSet<usize>, VoucherError> {
        if some.is_empty() {
            return Err(VoucherError::NoDevices("the endorsement".to_owned()));
        }
        let folded = |id: &RegistrationId| id.as_str().to_ascii_lowercase();
        let all: BTreeMap<String, usize> = self
            .devices()
            .iter()
            .enumerate()
            .map(|(at, device)| (folded(&device.id), at))
            .collect();
        let find = |id: &RegistrationId| {
            let missing = || VoucherError::NotThere(id.clone());
            all.get(&folded(id)).copied().ok_or_else(missing)
        };
        some.iter().map(find).collect()
    }
}
