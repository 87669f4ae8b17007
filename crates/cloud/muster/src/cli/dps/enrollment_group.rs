//! `muster dps enrollment-group`.

use clap::Subcommand;
use reqwest::Method;

use super::attestation::Entry;
use super::device_key::{self, DeviceKeyFlags};
use super::enrollment;
use super::registration::{self, GroupRegistrationCommand};
use super::settings::{RemovalFlags, SettingsFlags};
use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster dps enrollment-group`.
#[derive(Debug, Subcommand)]
pub enum EnrollmentGroupCommand {
    /// Create an enrollment group.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group create --enrollment-id factory \\\n    \
            --certificate-path certs/azure-iot-test-only.root.ca.cert.pem --edge-enabled true \
            --data-dir ./data")]
    Create {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        #[command(flatten)]
        settings: Box<SettingsFlags>,
    },
    /// Show one group.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group show --enrollment-id factory --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Also the keys of a symmetric-key attestation.
        #[arg(long, visible_alias = "keys", value_name = "true|false", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = yes_or_no)]
        show_keys: bool,
    },
    /// List groups.
    #[command(
        after_help = "Example:\n  muster dps enrollment-group list --data-dir ./data --output table"
    )]
    List {
        /// At most so many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change a group; what no flag names stays.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group update --enrollment-id factory --provisioning-status \
            disabled --data-dir ./data")]
    Update {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Only when the group still has this etag.
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        settings: Box<SettingsFlags>,
        #[command(flatten)]
        removed: RemovalFlags,
    },
    /// Delete a group; devices that it admitted keep their hub.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group delete --enrollment-id factory --data-dir ./data")]
    Delete {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Only when the group still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Derive the key of one device from the group's.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group compute-device-key --enrollment-id factory \
            --registration-id dev-001 --data-dir ./data\n  \
            muster dps enrollment-group compute-device-key --key GROUP_KEY --registration-id \
            dev-001")]
    ComputeDeviceKey(DeviceKeyFlags),
    /// Registrations of a group's devices.
    #[command(subcommand)]
    Registration(GroupRegistrationCommand),
}

const COLUMNS: &[Column] = &[
    ("EnrollmentGroupId", "/enrollmentGroupId"),
    ("Attestation", "/attestation/type"),
    ("Edge", "/capabilities/iotEdge"),
    ("Status", "/provisioningStatus"),
    ("Allocation", "/allocationPolicy"),
];

pub async fn run(command: EnrollmentGroupCommand, invocation: &Invocation) -> anyhow::Result<()> {
    // Only when it is needed: a device key can be derived without any service.
    let connect = || invocation.target.connect(Service::Provisioning);
    let answer = match command {
        EnrollmentGroupCommand::Create {
            enrollment_id,
            settings,
        } => {
            let settings = settings.read_new(None, Entry::Group)?;
            let body = wire::requests::enrollment_group(&enrollment_id, &settings, None);
            connect()?
                .call(Call::new(Method::PUT, &["enrollmentGroups", &enrollment_id]).body(&body))
                .await?
        }
        EnrollmentGroupCommand::Show {
            enrollment_id,
            show_keys,
        } => {
            let path = ["enrollmentGroups", enrollment_id.as_str()];
            enrollment::show(&connect()?, &path, show_keys).await?
        }
        EnrollmentGroupCommand::List { top } => {
            let query = wire::requests::query("SELECT * FROM enrollmentGroups");
            connect()?
                .list(&["enrollmentGroups", "query"], Some(&query), top)
                .await?
                .into()
        }
        EnrollmentGroupCommand::Update {
            enrollment_id,
            etag,
            settings,
            removed,
        } => {
            let path = ["enrollmentGroups", enrollment_id.as_str()];
            let settings = settings.read_changes(&removed, Entry::Group)?;
            let client = connect()?;
            let stored = client.call(Call::new(Method::GET, &path)).await?;
            let body = wire::requests::enrollment_group(&enrollment_id, &settings, Some(stored));
            let etag = etag.as_deref().unwrap_or("*");
            client
                .call(Call::new(Method::PUT, &path).body(&body).if_match(etag))
                .await?
        }
        EnrollmentGroupCommand::Delete {
            enrollment_id,
            etag,
        } => {
            let etag = etag.as_deref().unwrap_or("*");
            connect()?
                .call(
                    Call::new(Method::DELETE, &["enrollmentGroups", &enrollment_id]).if_match(etag),
                )
                .await?
        }
        EnrollmentGroupCommand::ComputeDeviceKey(flags) => {
            return device_key::run(flags, invocation).await;
        }
        EnrollmentGroupCommand::Registration(command) => {
            return registration::run_group(command, &connect()?, invocation).await;
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
