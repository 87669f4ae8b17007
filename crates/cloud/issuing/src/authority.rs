use std::path::Path;

use ca::{DeviceIssuers, IssuerError, TokenIssuer};
use ids::ProfileKind;
use ids::{IssuerName, Timestamp};
use pkcs11::TokenKeyReference;
use pki::{Certificate, KeyAlgorithm, PemError, PublicKey};
use wire::muster_api::issuer::{IssuerProfile, IssuerSettings, IssuerSource};

/// Makes or imports the CA of an issuer: its certificate, then those above it. The key is durable
/// when this returns.
pub fn authority(
    keys: &DeviceIssuers,
    name: &IssuerName,
    (profile, settings): (&IssuerProfile, &IssuerSettings),
    source: &IssuerSource,
    now: Timestamp,
) -> Result<Vec<Certificate>, IssuerError> {
    // The CA of an edge device issues the certificates of its servers.
    let path_length = match profile.kind {
        ProfileKind::EdgeCa => 1,
        _ => 0,
    };
    if let IssuerSource::Imported { chain, .. } = source {
        require_usual(chain, settings)?;
    }
    match source {
        IssuerSource::Made { common_name, days } => {
            let common_name = common_name.as_deref().unwrap_or(name.as_str());
            keys.make(common_name, *days, path_length, now)
        }
        IssuerSource::Imported { chain, key } => {
            if !settings.no_crl {
                require_crl_sign(chain)?;
            }
            keys.import(chain, key, path_length, now)
        }
        IssuerSource::Token {
            key,
            chain,
            common_name,
            days,
        } => {
            if let (Some(chain), false) = (chain, settings.no_crl) {
                require_crl_sign(chain)?;
            }
            let common_name = common_name.as_deref().unwrap_or(name.as_str());
            let issuer = TokenIssuer {
                key: TokenKeyReference {
                    library: Path::new(&key.library).to_owned(),
                    uri: key.uri.parse()?,
                    pin: Some(key.pin.clone()),
                },
                chain: chain.clone(),
                common_name: common_name.to_owned(),
                days: *days,
            };
            keys.use_token(issuer, path_length, now)
        }
    }
}

/// A CA with a key of which few programs know anything is an issuer only when the operator says so.
fn require_usual(chain: &str, settings: &IssuerSettings) -> Result<(), IssuerError> {
    let chain = Certificate::parse_pem_bundle(chain)?;
    let ca = chain.first().ok_or(PemError::NoCertificate)?;
    let key = PublicKey::of_certificate(ca);
    match key.map(|key| key.kind()) {
        Some(kind @ KeyAlgorithm::MlDsa(_)) if !settings.experimental => {
            Err(IssuerError::Experimental {
                subject: ca.subject(),
                kind: kind.name(),
            })
        }
        _ => Ok(()),
    }
}

/// A CA that may sign no revocation lists is an issuer only when the operator wants none.
fn require_crl_sign(chain: &str) -> Result<(), IssuerError> {
    let chain = Certificate::parse_pem_bundle(chain)?;
    let ca = chain.first().ok_or(PemError::NoCertificate)?;
    if ca.is_ca() && !ca.may_sign_crls() {
        let subject = ca.subject();
        return Err(IssuerError::NoCrlSign { subject });
    }
    Ok(())
}
