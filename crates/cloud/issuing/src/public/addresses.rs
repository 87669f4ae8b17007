//! The addresses that a certificate carries.

use ca::{DeviceIssuers, IssuerError};
use pki::Publication;
use provisioning::IssuerRecord;
use wire::public_pki::{Generation, PublicItem, PublicPath};

use super::revoked::shard;

/// Where the issuer publishes what belongs to a certificate with this serial number; `None` when
/// certificates carry no addresses.
pub(crate) fn of_certificate(
    issuer: &IssuerRecord,
    keys: &DeviceIssuers,
    serial: &[u8],
) -> Result<Option<Publication>, IssuerError> {
    let Some(address) = keys.address() else {
        return Ok(None);
    };
    let authority = &issuer.generations.issuing().thumbprint;
    let ca = keys.ca_certificate(authority)?;
    let generation = Generation::of(&ca.key_identifier());
    let url = |item| {
        let path = PublicPath {
            issuer: issuer.name.clone(),
            generation: Some(generation.clone()),
            item,
        };
        format!("{address}{path}")
    };
    let signs_lists = !issuer.settings.no_crl && ca.may_sign_crls();
    let divided = keys.has_divided_list(authority);
    let list = || {
        url(PublicItem::Crl {
            shard: divided.then(|| shard(serial)),
        })
    };
    Ok(Some(Publication {
        ca_certificate: url(PublicItem::Certificate),
        ocsp: url(PublicItem::Ocsp { request: None }),
        crl: signs_lists.then(list),
    }))
}
