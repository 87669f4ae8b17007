use ids::RegistrationId;
use pki::{KeyError, VerifyingKeyError};

/// Why a voucher is not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// More bytes than [`MAX_BYTES`](crate::MAX_BYTES).
    #[error("the voucher is larger than 256 MiB")]
    TooLarge,
    /// Not the JSON of a voucher.
    #[error("this is not a voucher: {0}")]
    Form(String),
    /// Another kind or version of voucher.
    #[error("this is not a voucher of the format {}", crate::FORMAT)]
    OtherFormat,
    /// More devices than [`MAX_DEVICES`](crate::MAX_DEVICES).
    #[error("a voucher has at most {} devices; make several", crate::MAX_DEVICES)]
    TooManyDevices,
    /// More endorsements than [`MAX_ENDORSEMENTS`](crate::MAX_ENDORSEMENTS).
    #[error("a voucher has at most {} endorsements", crate::MAX_ENDORSEMENTS)]
    TooManyEndorsements,
    /// No devices, in a batch or an endorsement.
    #[error("{0} has no devices")]
    NoDevices(String),
    /// Two devices with one id, in any letter case.
    #[error("device {0} is in it twice")]
    Twice(RegistrationId),
    /// A device whose entry cannot be read.
    #[error("entry {number} of the devices cannot be read: {problem}")]
    Device {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A device that cannot be in a voucher.
    #[error("device {id} {problem}")]
    Unusable {
        /// The device.
        id: RegistrationId,
        /// What is wrong with it, after its name.
        problem: String,
    },
    /// A link whose header, payload or signature is not of this format.
    #[error("{link} cannot be read: {problem}")]
    Link {
        /// The batch, or an endorsement by its number.
        link: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A signature that the owner of that time did not make.
    #[error("{0} is not signed by the key that it must be signed by")]
    Signature(String),
    /// A link that was taken from another chain, or whose predecessor was removed or changed.
    #[error("{0} does not follow the link before it; a link was removed, added or changed")]
    Chain(String),
    /// An endorsement of devices that its signer did not have.
    #[error("{0} passes on devices that its signer did not have")]
    NotOwned(String),
    /// The entries are not those of the last owner's devices.
    #[error(
        "the devices are not those that the last link lists; entries were removed, added, \
         reordered or changed"
    )]
    Entries,
    /// The maker's key is not trusted.
    #[error("the maker's key {0} is not one of those that are trusted")]
    Maker(String),
    /// Somebody else owns the batch.
    #[error("the batch belongs to the key {found}, not to {wanted}; it was not endorsed to it")]
    Owner {
        /// Fingerprint of the last owner's key.
        found: String,
        /// Fingerprint of the key that should own it.
        wanted: String,
    },
    /// A device that is to be passed on and is not in the voucher.
    #[error("device {0} is not in the voucher")]
    NotThere(RegistrationId),
    /// The signer's key.
    #[error("the signing key cannot be used: {0}")]
    Key(#[from] VerifyingKeyError),
    /// The signature was not made.
    #[error("the voucher is not signed: {0}")]
    Signing(#[from] KeyError),
}
