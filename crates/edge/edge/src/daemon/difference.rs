//! The tasks that a new configuration concerns.

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::Config;

/// What has to restart for a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    Cloud,
    /// The agent, and with it everything.
    Agent,
}

/// Compares configurations. `old_files` is the digest of the files when the old one was started.
pub(super) fn between(old: &Config, old_files: &[u8], new: &Config) -> Difference {
    if agent_part(old) != agent_part(new) {
        Difference::Agent
    } else if cloud_part(old) != cloud_part(new) || old_files != digest_of_files(new) {
        Difference::Cloud
    } else {
        Difference::None
    }
}

fn agent_part(config: &Config) -> impl PartialEq + '_ {
    let trust = config.trust_bundle.as_ref().map(|file| &file.path);
    (
        &config.runtime,
        config.elevated_permissions,
        &config.agent_env,
        trust,
    )
}

fn cloud_part(config: &Config) -> impl PartialEq + '_ {
    let from = &config.provisioning;
    let id = from.registration_id.as_ref().map(|(id, _)| id.as_str());
    let payload = from.payload.as_ref().map(|file| &file.path);
    let files = (&from.identity_cert.path, &from.identity_pk.path, payload);
    (
        &from.endpoint,
        from.id_scope.as_str(),
        id,
        files,
        config.reprovisioning,
        config.cloud_timeout,
    )
}

/// A digest of the files that a configuration names: a certificate may be replaced under
/// the same file name.
pub(super) fn digest_of_files(config: &Config) -> Vec<u8> {
    let from = &config.provisioning;
    let files = [
        Some(&from.identity_cert),
        Some(&from.identity_pk),
        from.payload.as_ref(),
        config.trust_bundle.as_ref(),
    ];
    let mut context = Context::new(&SHA256);
    for file in files.into_iter().flatten() {
        match std::fs::read(&file.path) {
            Ok(bytes) => {
                context.update(&(bytes.len() as u64).to_be_bytes());
                context.update(&bytes);
            }
            Err(error) => context.update(error.to_string().as_bytes()),
        }
    }
    context.finish().as_ref().to_vec()
}
