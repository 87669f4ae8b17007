//! `muster dps`.

mod attestation;
mod certificate;
mod device_key;
mod enrollment;
mod enrollment_group;
mod registration;
mod settings;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster dps`.
#[derive(Debug, Subcommand)]
pub enum DpsCommand {
    /// Individual enrollments: one device each.
    #[command(subcommand)]
    Enrollment(enrollment::EnrollmentCommand),
    /// Enrollment groups: every device under one certificate, or with a key derived from one.
    #[command(subcommand)]
    EnrollmentGroup(enrollment_group::EnrollmentGroupCommand),
    /// CA certificates: uploaded, verified by proof of possession, referred to by enrollments.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
}

pub async fn run(command: DpsCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        DpsCommand::Enrollment(command) => enrollment::run(command, invocation).await,
        DpsCommand::EnrollmentGroup(command) => enrollment_group::run(command, invocation).await,
        DpsCommand::Certificate(command) => certificate::run(command, invocation).await,
    }
}
