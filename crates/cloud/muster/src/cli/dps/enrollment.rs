//! `muster dps enrollment`.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::attestation::{AttestationType, Entry};
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
    Create {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        #[arg(long, visible_alias = "at", value_enum, ignore_case = true)]
        attestation_type: AttestationType,
        /// The device id in the hub; the enrollment id when it is not given.
        #[arg(long, visible_alias = "did")]
        device_id: Option<String>,
        #[command(flatten)]
        settings: Box<SettingsFlags>,
    },
    /// Show one enrollment.
    #[command(after_help = "Example:\n  \
            muster dps enrollment show --enrollment-id edge-001 --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Also the keys of a symmetric-key attestation.
        #[arg(long, visible_alias = "keys", value_name = "true|false", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = yes_or_no)]
        show_keys: bool,
    },
    /// List enrollments.
    #[command(
        after_help = "Example:\n  muster dps enrollment list --data-dir ./data --output table"
    )]
    List {
        /// At most so many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change an enrollment; what no flag names stays.
    #[command(after_help = "Example:\n  \
            muster dps enrollment update --enrollment-id edge-001 --provisioning-status disabled \
            --data-dir ./data")]
    Update {
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
    },
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

const COLUMNS: &[Column] = &[
    ("RegistrationId", "/registrationId"),
    ("DeviceId", "/deviceId"),
    ("Attestation", "/attestation/type"),
    ("Edge", "/capabilities/iotEdge"),
    ("Status", "/provisioningStatus"),
    ("Registration", "/registrationState/status"),
    ("Hub", "/registrationState/assignedHub"),
];

/// An entry, on request with its keys, which are told by a call of their own.
pub(super) async fn show(
    client: &ServiceClient,
    path: &[&str],
    show_keys: bool,
) -> anyhow::Result<Value> {
    let mut entry = client.call(Call::new(Method::GET, path)).await?;
    if show_keys && entry["attestation"]["type"] == "symmetricKey" {
        entry["attestation"] = mechanism(client, path).await?;
    }
    Ok(entry)
}

/// How devices of an entry prove themselves, with the keys.
pub(super) async fn mechanism(client: &ServiceClient, path: &[&str]) -> anyhow::Result<Value> {
    let path = [path, &["attestationmechanism"]].concat();
    Ok(client.call(Call::new(Method::POST, &path)).await?)
}

pub async fn run(command: EnrollmentCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer = match command {
        EnrollmentCommand::Create {
            enrollment_id,
            attestation_type,
            device_id,
            settings,
        } => {
            let body = wire::requests::enrollment(
                &enrollment_id,
                device_id.as_deref(),
                &settings.read_new(Some(attestation_type), Entry::Individual(&enrollment_id))?,
                None,
            );
            client
                .call(Call::new(Method::PUT, &["enrollments", &enrollment_id]).body(&body))
                .await?
        }
        EnrollmentCommand::Show {
            enrollment_id,
            show_keys,
        } => show(&client, &["enrollments", &enrollment_id], show_keys).await?,
        EnrollmentCommand::List { top } => {
            let query = wire::requests::query("SELECT * FROM enrollments");
            client
                .list(&["enrollments", "query"], Some(&query), top)
                .await?
                .into()
        }
        EnrollmentCommand::Update {
            enrollment_id,
            device_id,
            etag,
            settings,
            removed,
        } => {
            let path = ["enrollments", enrollment_id.as_str()];
            let entry = Entry::Individual(&enrollment_id);
            let settings = settings.read_changes(&removed, entry)?;
            let stored = client.call(Call::new(Method::GET, &path)).await?;
            let body = wire::requests::enrollment(
                &enrollment_id,
                device_id.as_deref(),
                &settings,
                Some(stored),
            );
            let etag = etag.as_deref().unwrap_or("*");
            client
                .call(Call::new(Method::PUT, &path).body(&body).if_match(etag))
                .await?
        }
        EnrollmentCommand::Delete {
            enrollment_id,
            etag,
        } => {
            let etag = etag.as_deref().unwrap_or("*");
            client
                .call(Call::new(Method::DELETE, &["enrollments", &enrollment_id]).if_match(etag))
                .await?
        }
        EnrollmentCommand::Registration(command) => {
            return registration::run(command, &client, invocation).await;
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
