//! What a token can do, for people.

use std::path::Path;

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::MechanismType;

use super::find;
use crate::{KeyLocation, SlotUri, TokenError};

/// The mechanisms that keys are made and used with.
const KNOWN: [MechanismType; 7] = [
    MechanismType::ECDSA,
    MechanismType::RSA_PKCS,
    MechanismType::RSA_PKCS_PSS,
    MechanismType::SHA256_HMAC,
    MechanismType::ECC_KEY_PAIR_GEN,
    MechanismType::RSA_PKCS_KEY_PAIR_GEN,
    MechanismType::GENERIC_SECRET_KEY_GEN,
];

/// A library and a token in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReport {
    /// Where the token is.
    pub at: KeyLocation,
    /// Who made the library, what it is, and its version: `SoftHSM: Implementation of PKCS11 2.6`.
    pub library: String,
    /// The names of those mechanisms of the token that keys are made and used with: `CKM_ECDSA`.
    pub mechanisms: Vec<String>,
}

pub(super) fn read(
    path: &Path,
    library: &Pkcs11,
    uri: &SlotUri,
) -> Result<TokenReport, TokenError> {
    let (slot, at) = find::slot(path, library, uri, uri.to_string())?;
    let about = library
        .get_library_info()
        .map_err(|error| at.failed("describe its library", &error))?;
    let offered = library
        .get_mechanism_list(slot)
        .map_err(|error| at.failed("list its mechanisms", &error))?;
    let mechanisms = KNOWN.iter().filter(|known| offered.contains(known));
    let (maker, what) = (about.manufacturer_id(), about.library_description());
    let version = about.library_version();
    Ok(TokenReport {
        library: format!(
            "{}: {} {}.{}",
            maker.trim_end(),
            what.trim_end(),
            version.major(),
            version.minor()
        ),
        mechanisms: mechanisms.map(MechanismType::to_string).collect(),
        at,
    })
}
