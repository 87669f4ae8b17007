//! Whether a voucher proves that somebody owns its devices.

use std::collections::BTreeSet;

use ids::Timestamp;
use pki::VerifyingKey;

use crate::device::{digest_of, distinct};
use crate::link::{BATCH, BatchPayload, ENDORSEMENT, EndorsementPayload, named_key};
use crate::{Device, UnverifiedVoucher, VoucherError};

/// What a voucher is verified against. `None` leaves a question open: the caller must answer it
/// from what the verified voucher names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// Keys of makers, one of which must have made the batch.
    pub makers: Option<&'a [VerifyingKey]>,
    /// The key that must own the batch now.
    pub owner: Option<&'a VerifyingKey>,
}

/// A link of a voucher, for people to read.
#[derive(Debug, Clone)]
pub struct Link {
    /// When it was signed, as its signer says.
    pub created: Timestamp,
    /// The key that signed it.
    pub signer: VerifyingKey,
    /// The key that owns the batch from then on.
    pub owner: VerifyingKey,
    /// How many devices it passes on.
    pub devices: usize,
}

/// A voucher whose every link is signed by the owner of its time. Only
/// [`UnverifiedVoucher::verify`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedVoucher {
    pub(crate) voucher: UnverifiedVoucher,
    links: Vec<Link>,
    maker: VerifyingKey,
    owner: VerifyingKey,
    devices: Vec<Device>,
}

impl VerifiedVoucher {
    /// The key that made the batch.
    #[must_use]
    pub fn maker(&self) -> &VerifyingKey {
        &self.maker
    }

    /// The key that owns it now.
    #[must_use]
    pub fn owner(&self) -> &VerifyingKey {
        &self.owner
    }

    /// The devices of the owner.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The batch and its endorsements.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}

impl UnverifiedVoucher {
    /// Verifies every signature, the chain from the maker to the owner, and that the devices are
    /// those of the owner.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn verify(self, trust: Trust<'_>) -> Result<VerifiedVoucher, VoucherError> {
        const NAME: &str = "the batch";
        let named: BatchPayload = self.batch.unverified(NAME)?;
        let maker = named_key(NAME, &named.maker)?;
        if trust.makers.is_some_and(|makers| !makers.contains(&maker)) {
            return Err(VoucherError::Maker(maker.fingerprint().to_string()));
        }
        let batch: BatchPayload = self.batch.verify((NAME, BATCH), &maker)?;
        let mut held = digests(NAME, batch.devices)?;
        let mut links = vec![Link {
            created: batch.created,
            signer: maker.clone(),
            owner: maker.clone(),
            devices: held.len(),
        }];
        let (mut owner, mut previous) = (maker.clone(), &self.batch);
        for (position, endorsement) in self.endorsements.iter().enumerate() {
            let name = format!("endorsement {}", position + 1);
            let payload: EndorsementPayload = endorsement.verify((&name, ENDORSEMENT), &owner)?;
            if payload.previous != previous.digest() {
                return Err(VoucherError::Chain(name));
            }
            if let Some(listed) = payload.devices {
                let listed = digests(&name, listed)?;
                if !listed.is_subset(&held) {
                    return Err(VoucherError::NotOwned(name));
                }
                held = listed;
            }
            let next = named_key(&name, &payload.owner)?;
            links.push(Link {
                created: payload.created,
                signer: owner,
                owner: next.clone(),
                devices: held.len(),
            });
            (owner, previous) = (next, endorsement);
        }
        match trust.owner {
            Some(wanted) if *wanted != owner => Err(VoucherError::Owner {
                found: owner.fingerprint().to_string(),
                wanted: wanted.fingerprint().to_string(),
            }),
            _ => Ok(VerifiedVoucher {
                devices: self.held_devices(&held)?,
                voucher: self,
                links,
                maker,
                owner,
            }),
        }
    }

    fn held_devices(&self, held: &BTreeSet<String>) -> Result<Vec<Device>, VoucherError> {
        let found = self.devices.iter().map(|entry| digest_of(entry));
        if !found.eq(held.iter().cloned()) {
            return Err(VoucherError::Entries);
        }
        let entries = self.devices.iter().enumerate();
        let devices: Vec<Device> = entries
            .map(|(position, entry)| Device::of_entry(position, entry))
            .collect::<Result<_, _>>()?;
        distinct(devices.iter())?;
        Ok(devices)
    }
}

/// A list of digests, which must be in ascending order without repetition.
fn digests(link: &str, listed: Vec<String>) -> Result<BTreeSet<String>, VoucherError> {
    if listed.is_empty() {
        return Err(VoucherError::NoDevices(link.to_owned()));
    }
    if listed.len() > crate::MAX_DEVICES {
        return Err(VoucherError::TooManyDevices);
    }
    match listed.windows(2).all(|pair| pair[0] < pair[1]) {
        true => Ok(listed.into_iter().collect()),
        false => Err(VoucherError::Link {
            link: link.to_owned(),
            problem: "its devices are not in ascending order".to_owned(),
        }),
    }
}
