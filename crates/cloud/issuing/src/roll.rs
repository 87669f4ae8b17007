//! An issuer goes over to another CA while its devices go on working: both CAs are admitted until
//! each device has a certificate of the new one. Keys are written before the rows that name them,
//! so that each step may be repeated after a crash.

use std::sync::Arc;

use ca::{DeviceIssuers, IssuerError};
use ids::{IssuerName, Timestamp};
use pki::{Certificate, PemError};
use provisioning::{
    IssuerGeneration, IssuerRecord, NextAuthority, Provisioning, RollError, RollStatus,
};
use registry::StorageError;
use wire::muster_api::issuer::IssuerSource;

use crate::authority::authority;

/// Why a step of a roll was not made.
#[derive(Debug, thiserror::Error)]
pub enum RollFault {
    #[error(transparent)]
    Refused(#[from] RollError),
    #[error("the new CA is not made")]
    Authority(#[from] Box<IssuerError>),
    #[error("a stored CA certificate cannot be read")]
    Damaged(#[from] PemError),
}

impl From<StorageError> for RollFault {
    fn from(error: StorageError) -> Self {
        Self::Refused(error.into())
    }
}

/// Has an issuer issue by a CA that is made or imported. Repeated, it answers how far the roll has
/// come, unless another CA is imported.
///
/// The caller sees to it that no other request makes or deletes an issuer meanwhile.
pub async fn start(
    provisioning: &Provisioning,
    keys: &Arc<DeviceIssuers>,
    name: &IssuerName,
    source: &IssuerSource,
    now: Timestamp,
) -> Result<RollStatus, RollFault> {
    let issuer = existing(provisioning, name)?;
    if let Some(next) = &issuer.generations.next {
        return match is_same(next, source)? {
            true => Ok(provisioning.roll_status(name, now).await?),
            false => Err(RollError::Rolls(name.clone()).into()),
        };
    }
    let source = named(source, &issuer);
    let (made_in, made_for) = (keys.clone(), name.clone());
    // A token may take long to answer.
    let made = tokio::task::spawn_blocking(move || {
        let terms = (&issuer.profile, &issuer.settings);
        authority(&made_in, &made_for, terms, &source, now)
    });
    let made = made.await;
    let made = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let chain = made.map_err(Box::new)?;
    let next = NextAuthority::of(&chain)?;
    let ca_certificate = next.generation.thumbprint;
    if let Err(error) = provisioning.start_roll(name, next, now).await {
        if !provisioning.has_issuer_of(&ca_certificate)? {
            keys.remove(&ca_certificate).map_err(Box::new)?;
        }
        return Err(error.into());
    }
    Ok(provisioning.roll_status(name, now).await?)
}

/// Makes the new CA the only one. Refused while registered devices use the old one, unless `force`.
pub async fn finish(
    provisioning: &Provisioning,
    name: &IssuerName,
    force: bool,
    now: Timestamp,
) -> Result<RollStatus, RollFault> {
    let next = rolled_to(provisioning, name)?;
    let status = provisioning.roll_status(name, now).await?;
    let old = status.issuer.generations.current.thumbprint;
    let uses = status
        .authorities
        .iter()
        .find(|one| one.ca_certificate == old);
    let devices = uses.map_or(0, |one| one.devices);
    if devices > 0 && !force {
        return Err(RollError::StillUsed { devices }.into());
    }
    provisioning.finish_roll(name, next, now).await?;
    Ok(provisioning.roll_status(name, now).await?)
}

/// Has an issuer issue by its old CA again. While devices have certificates of the new one, it is
/// rolled back to the old one, and that roll is finished like any other.
pub async fn abandon(
    provisioning: &Provisioning,
    keys: &DeviceIssuers,
    name: &IssuerName,
    now: Timestamp,
) -> Result<RollStatus, RollFault> {
    let next = rolled_to(provisioning, name)?;
    let ca_certificate = next.generation.thumbprint;
    provisioning.abandon_roll(name, next, now).await?;
    // After its row: the other way round, a crash would leave an issuer that cannot issue.
    if !provisioning.has_issuer_of(&ca_certificate)? {
        keys.remove(&ca_certificate).map_err(Box::new)?;
    }
    Ok(provisioning.roll_status(name, now).await?)
}

fn existing(provisioning: &Provisioning, name: &IssuerName) -> Result<IssuerRecord, RollFault> {
    let issuer = provisioning.issuer(name)?;
    Ok(issuer.ok_or_else(|| RollError::NotFound(name.clone()))?)
}

fn rolled_to(provisioning: &Provisioning, name: &IssuerName) -> Result<NextAuthority, RollFault> {
    let next = existing(provisioning, name)?.generations.next;
    let next = next.ok_or_else(|| RollError::DoesNotRoll(name.clone()))?;
    let chain = Certificate::parse_pem_bundle(&next.chain)?;
    Ok(NextAuthority::of(&chain)?)
}

/// Whether a request to start names the CA that the issuer is rolled to already.
fn is_same(next: &IssuerGeneration, source: &IssuerSource) -> Result<bool, PemError> {
    Ok(match source {
        IssuerSource::Made { .. } | IssuerSource::Token { chain: None, .. } => true,
        IssuerSource::Imported { chain, .. }
        | IssuerSource::Token {
            chain: Some(chain), ..
        } => {
            let chain = Certificate::parse_pem_bundle(chain)?;
            chain
                .first()
                .is_some_and(|one| one.sha256() == next.thumbprint)
        }
    })
}

/// A new CA has a name of its own, so that people can tell the two apart.
fn named(source: &IssuerSource, issuer: &IssuerRecord) -> IssuerSource {
    match source {
        IssuerSource::Made {
            common_name: None,
            days,
        } => IssuerSource::Made {
            common_name: Some(format!(
                "{} {}",
                issuer.name,
                issuer.generations.all().count() + 1
            )),
            days: *days,
        },
        source => source.clone(),
    }
}
