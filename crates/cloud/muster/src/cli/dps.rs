//! `muster dps`: enrollments, registrations and settings of a provisioning service.

mod allocation;
mod attestation;
mod block;
mod certificate;
pub(super) mod certificate_file;
mod device_key;
mod enrollment;
mod enrollment_group;
mod explain;
mod issuer;
pub mod linked_hub;
mod policy;
mod registration;
mod service;
pub(super) mod settings;
mod trust_bundle;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster dps`.
#[derive(Debug, Subcommand)]
pub enum DpsCommand {
    /// Add a provisioning service to the server: an ID scope, enrollments and keys of its own.
    #[command(after_help = "Example:\n  \
            muster dps create --name factory --hostname factory.example.org --data-dir ./data")]
    Create(service::ServiceCreate),
    /// List the provisioning services of the server.
    #[command(after_help = "Example:\n  muster dps list --data-dir ./data --output table")]
    List,
    /// Show one provisioning service.
    #[command(after_help = "Example:\n  muster dps show --dps-name factory --data-dir ./data")]
    Show,
    /// Change the settings of a provisioning service.
    #[command(after_help = "Example:\n  \
            muster dps update --default-allocation-policy geolatency --data-dir ./data")]
    Update(service::ServiceUpdate),
    /// Shared access policies of a provisioning service.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The linked hubs, which the provisioning service assigns devices to.
    #[command(subcommand)]
    LinkedHub(linked_hub::LinkedHubCommand),
    /// Custom allocation: the requests to webhooks and their answers.
    #[command(subcommand)]
    Allocation(allocation::AllocationCommand),
    /// Individual enrollments: one device each.
    #[command(subcommand)]
    Enrollment(enrollment::EnrollmentCommand),
    /// Enrollment groups: all devices with a certificate of one CA, or with a key
    /// derived from one key.
    #[command(subcommand)]
    EnrollmentGroup(enrollment_group::EnrollmentGroupCommand),
    /// CA certificates: uploaded, verified by proof of possession, and named by enrollments.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Issuers: CAs that issue certificates to devices as they register.
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Trust bundles: CA certificates that devices get as trusted roots.
    #[command(subcommand)]
    TrustBundle(trust_bundle::TrustBundleCommand),
    /// Block a device: it cannot register or connect, and its connections are closed.
    #[command(after_help = "Example:\n  \
            muster dps block --registration-id edge-001 --reason 'stolen' --data-dir ./data\n  \
            muster dps block --device-id edge-001 --hub-name hub --data-dir ./data")]
    Block(block::BlockFlags),
    /// Remove the block of a device.
    #[command(after_help = "Example:\n  \
            muster dps unblock --registration-id edge-001 --data-dir ./data\n  \
            muster dps unblock --device-id edge-001 --hub-name hub --data-dir ./data")]
    Unblock(block::UnblockFlags),
    /// Explain why a device would be, or was, accepted or refused.
    #[command(after_help = "Example:\n  \
            muster dps explain --certificate certs/edge-001-full-chain.cert.pem --data-dir \
            ./data\n  \
            muster dps explain --token - --data-dir ./data --output table < edge-002.token\n  \
            muster dps explain --registration-id edge-001 --data-dir ./data --output table")]
    Explain(explain::ExplainFlags),
}

pub async fn run(command: DpsCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        DpsCommand::Create(flags) => service::create(flags, invocation).await,
        DpsCommand::List => service::list(invocation).await,
        DpsCommand::Show => service::show(invocation).await,
        DpsCommand::Update(flags) => service::update(flags, invocation).await,
        DpsCommand::Policy(command) => policy::run(command, invocation).await,
        DpsCommand::LinkedHub(command) => linked_hub::run(command, invocation).await,
        DpsCommand::Allocation(command) => allocation::run(command, invocation).await,
        DpsCommand::Enrollment(command) => enrollment::run(command, invocation).await,
        DpsCommand::EnrollmentGroup(command) => enrollment_group::run(command, invocation).await,
        DpsCommand::Certificate(command) => certificate::run(command, invocation).await,
        DpsCommand::Issuer(command) => issuer::run(command, invocation).await,
        DpsCommand::TrustBundle(command) => trust_bundle::run(command, invocation).await,
        DpsCommand::Block(flags) => block::block(flags, invocation).await,
        DpsCommand::Unblock(flags) => block::unblock(flags, invocation).await,
        DpsCommand::Explain(flags) => explain::run(flags, invocation).await,
    }
}
