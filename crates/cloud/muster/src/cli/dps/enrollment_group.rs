//! `muster dps enrollment-group`: enrollment groups.

use crate::service_client::request_bodies::EnrollmentSettings;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::attestation::EnrollmentKind;
use super::device_key::{self, DeviceKeyFlags};
use super::enrollment;
use super::registration::{self, GroupRegistrationCommand};
use super::settings::{RemovalFlags, SettingsFlags};
use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service, ServiceClient};

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
    /// List groups.
    #[command(
        after_help = "Example:\n  muster dps enrollment-group list --data-dir ./data --output table"
    )]
    List {
        /// At most this many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change a group; without a flag, a setting stays as it is.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group update --enrollment-id factory --provisioning-status \
            disabled --data-dir ./data")]
    Update(UpdateFlags),
    /// Delete a group; the devices that registered by it keep their hub.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group delete --enrollment-id factory --data-dir ./data")]
    Delete {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// Only when the group still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Derive the key of one device from the key of the group.
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

#[derive(Debug, Args)]
pub struct UpdateFlags {
    #[arg(long, visible_alias = "eid")]
    enrollment_id: String,
    /// Only when the group still has this etag.
    #[arg(long)]
    etag: Option<String>,
    #[command(flatten)]
    settings: Box<SettingsFlags>,
    #[command(flatten)]
    removed: RemovalFlags,
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
            let settings = settings.read_new(None, EnrollmentKind::Group)?;
            create(&connect()?, &enrollment_id, &settings).await?
        }
        EnrollmentGroupCommand::Show {
            enrollment_id,
            show_keys,
        } => enrollment::show(&connect()?, &path(&enrollment_id), show_keys).await?,
        EnrollmentGroupCommand::List { top } => list(&connect()?, top).await?,
        EnrollmentGroupCommand::Update(flags) => {
            let settings = flags
                .settings
                .read_changes(&flags.removed, EnrollmentKind::Group)?;
            let etag = flags.etag.as_deref();
            update(&connect()?, &flags.enrollment_id, &settings, etag).await?
        }
        EnrollmentGroupCommand::Delete {
            enrollment_id,
            etag,
        } => enrollment::delete(&connect()?, &path(&enrollment_id), etag.as_deref()).await?,
        EnrollmentGroupCommand::ComputeDeviceKey(flags) => {
            return device_key::run(flags, invocation).await;
        }
        EnrollmentGroupCommand::Registration(command) => {
            return registration::run_group(command, &connect()?, invocation).await;
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

fn path(enrollment_id: &str) -> [&str; 2] {
    ["enrollmentGroups", enrollment_id]
}

async fn create(
    client: &ServiceClient,
    id: &str,
    settings: &EnrollmentSettings,
) -> anyhow::Result<Value> {
    let path = path(id);
    let body = crate::service_client::request_bodies::enrollment_group(id, settings, None);
    let call = Call::new(Method::PUT, &path).body(&body);
    Ok(client.call(call).await?)
}

async fn list(client: &ServiceClient, top: Option<usize>) -> anyhow::Result<Value> {
    let query = crate::service_client::request_bodies::query("SELECT * FROM enrollmentGroups");
    let path = ["enrollmentGroups", "query"];
    Ok(client.list(&path, Some(&query), top).await?.into())
}

/// Reads the stored group and sends it with the changes.
async fn update(
    client: &ServiceClient,
    id: &str,
    settings: &EnrollmentSettings,
    etag: Option<&str>,
) -> anyhow::Result<Value> {
    let path = path(id);
    let stored = client.call(Call::new(Method::GET, &path)).await?;
    let body = crate::service_client::request_bodies::enrollment_group(id, settings, Some(stored));
    let call = Call::new(Method::PUT, &path).body(&body);
    Ok(client.call(call.if_match(etag.unwrap_or("*"))).await?)
}
