//! `muster dps enrollment`: individual enrollments.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::attestation::{AttestationType, EnrollmentKind};
use super::registration::{self, RegistrationCommand};
use super::settings::{RemovalFlags, SettingsFlags};
use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service, ServiceClient};

/// Verbs of `muster dps enrollment`.
#[derive(Debug, Subcommand)]
pub enum EnrollmentCommand {
    /// Create an individual enrollment.
    #[command(after_help = "Example:\n  \
            muster dps enrollment create --enrollment-id edge-001 --attestation-type x509 \\\n    \
            --certificate-path certs/iot-edge-device-identity-edge-001.cert.pem --edge-enabled \
            true \\\n    \
            --initial-twin-tags '{\"environment\":\"test\"}' --data-dir ./data")]
    Create(CreateFlags),
    /// Show one enrollment.
    #[command(after_help = "Example:\n  \
            muster dps enrollment show --enrollment-id edge-001 --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Also the keys of a symmetric-key attestation.
        #[arg(
            long,
            visible_alias = "keys",
            value_name = "true|false",
            num_args = 0..=1,
            default_value = "false",
            default_missing_value = "true",
            value_parser = yes_or_no
        )]
        show_keys: bool,
    },
    /// List enrollments.
    #[command(
        after_help = "Example:\n  muster dps enrollment list --data-dir ./data --output table"
    )]
    List {
        /// At most this many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change an enrollment; without a flag, a setting stays as it is.
    #[command(after_help = "Example:\n  \
            muster dps enrollment update --enrollment-id edge-001 --provisioning-status disabled \
            --data-dir ./data")]
    Update(UpdateFlags),
    /// Delete an enrollment.
    #[command(after_help = "Example:\n  \
            muster dps enrollment delete --enrollment-id edge-001 --data-dir ./data")]
    Delete {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Only when the enrollment still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// The registration of an enrollment's device.
    #[command(subcommand)]
    Registration(RegistrationCommand),
}

#[derive(Debug, Args)]
pub struct CreateFlags {
    #[arg(long, visible_alias = "eid")]
    enrollment_id: String,
    #[arg(long, visible_alias = "at", value_enum, ignore_case = true)]
    attestation_type: AttestationType,
    /// The device id on the hub [default: the enrollment id].
    #[arg(long, visible_alias = "did")]
    device_id: Option<String>,
    #[command(flatten)]
    settings: Box<SettingsFlags>,
}

#[derive(Debug, Args)]
pub struct UpdateFlags {
    #[arg(long, visible_alias = "eid")]
    enrollment_id: String,
    #[arg(long, visible_alias = "did")]
    device_id: Option<String>,
    /// Only when the enrollment still has this etag.
    #[arg(long)]
    etag: Option<String>,
    #[command(flatten)]
    settings: Box<SettingsFlags>,
    #[command(flatten)]
    removed: RemovalFlags,
}

const COLUMNS: &[Column] = &[
    ("RegistrationId", "/registrationId"),
    ("DeviceId", "/deviceId"),
    ("Attestation", "/attestation/type"),
    ("Edge", "/capabilities/iotEdge"),
    ("Status", "/provisioningStatus"),
    ("Registration", "/registrationState/status"),
    ("Hub", "/registrationState/assignedHub"),
];

/// An enrollment, with its keys if `show_keys` is set; the service has a request of its own for
/// them.
pub(super) async fn show(
    client: &ServiceClient,
    path: &[&str],
    show_keys: bool,
) -> anyhow::Result<Value> {
    let mut enrollment = client.call(Call::new(Method::GET, path)).await?;
    if show_keys && enrollment["attestation"]["type"] == "symmetricKey" {
        enrollment["attestation"] = mechanism(client, path).await?;
    }
    Ok(enrollment)
}

/// The attestation of an enrollment with its keys.
pub(super) async fn mechanism(client: &ServiceClient, path: &[&str]) -> anyhow::Result<Value> {
    let path = [path, &["attestationmechanism"]].concat();
    Ok(client.call(Call::new(Method::POST, &path)).await?)
}

pub async fn run(command: EnrollmentCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer = match command {
        EnrollmentCommand::Create(flags) => create(&client, flags).await?,
        EnrollmentCommand::Show {
            enrollment_id,
            show_keys,
        } => show(&client, &["enrollments", &enrollment_id], show_keys).await?,
        EnrollmentCommand::List { top } => list(&client, top).await?,
        EnrollmentCommand::Update(flags) => update(&client, flags).await?,
        EnrollmentCommand::Delete {
            enrollment_id,
            etag,
        } => delete(&client, &["enrollments", &enrollment_id], etag.as_deref()).await?,
        EnrollmentCommand::Registration(command) => {
            return registration::run(command, &client, invocation).await;
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

async fn create(client: &ServiceClient, flags: CreateFlags) -> anyhow::Result<Value> {
    let id = &flags.enrollment_id;
    let attestation = Some(flags.attestation_type);
    let settings = flags
        .settings
        .read_new(attestation, EnrollmentKind::Individual(id))?;
    let body = crate::service_client::request_bodies::enrollment(
        id,
        flags.device_id.as_deref(),
        &settings,
        None,
    );
    let path = ["enrollments", id.as_str()];
    let call = Call::new(Method::PUT, &path).body(&body);
    Ok(client.call(call).await?)
}

async fn list(client: &ServiceClient, top: Option<usize>) -> anyhow::Result<Value> {
    let query = crate::service_client::request_bodies::query("SELECT * FROM enrollments");
    let path = ["enrollments", "query"];
    Ok(client.list(&path, Some(&query), top).await?.into())
}

/// Reads the stored enrollment and sends it with the changes.
async fn update(client: &ServiceClient, flags: UpdateFlags) -> anyhow::Result<Value> {
    let id = &flags.enrollment_id;
    let enrollment = EnrollmentKind::Individual(id);
    let settings = flags.settings.read_changes(&flags.removed, enrollment)?;
    let path = ["enrollments", id.as_str()];
    let stored = client.call(Call::new(Method::GET, &path)).await?;
    let device_id = flags.device_id.as_deref();
    let body =
        crate::service_client::request_bodies::enrollment(id, device_id, &settings, Some(stored));
    let call = Call::new(Method::PUT, &path).body(&body);
    let etag = flags.etag.as_deref().unwrap_or("*");
    Ok(client.call(call.if_match(etag)).await?)
}

pub(super) async fn delete(
    client: &ServiceClient,
    path: &[&str],
    etag: Option<&str>,
) -> anyhow::Result<Value> {
    let call = Call::new(Method::DELETE, path).if_match(etag.unwrap_or("*"));
    Ok(client.call(call).await?)
}
