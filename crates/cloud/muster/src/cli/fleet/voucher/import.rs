//! Enrollments for the devices of a voucher, ten in a request.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures_util::stream::{self, StreamExt};
use ids::Thumbprint;
use pki::Certificate;
use reqwest::Method;
use serde_json::{Map, Value, json};
use voucher::{Credential, Device};
use wire::error::DpsErrorCode;
use wire::service_api::enrollment::MAX_BULK;

use super::{MakerFlag, VoucherFile};
use crate::cli::dps::certificate_file;
use crate::cli::dps::settings::PolicyFlags;
use crate::cli::{Column, Invocation, output, progress};
use crate::service_client::request_bodies::{self, AttestationSettings, EnrollmentSettings};
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// Requests at the same time.
const CONCURRENCY: usize = 8;
/// Largest request, bytes of JSON; the service reads 512 KiB.
const MAX_REQUEST: usize = 384 * 1024;

/// `muster fleet voucher import`.
#[derive(Debug, Args)]
pub struct ImportFlags {
    #[command(flatten)]
    voucher: VoucherFile,
    #[command(flatten)]
    maker: MakerFlag,
    /// The key that owns the batch, yours: a certificate, a public or a private key, PEM.
    #[arg(long, value_name = "FILE")]
    owner_key: PathBuf,
    /// A folder with the certificates of devices that the voucher has thumbprints of.
    #[arg(long, value_name = "DIR")]
    certificates_dir: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyFlags,
}

const COLUMNS: &[Column] = &[
    ("Devices", "/devices"),
    ("Created", "/created"),
    ("Present", "/present"),
    ("Failed", "/failed"),
];

/// An enrollment that is to be created.
struct Enrollment {
    id: String,
    body: Value,
    /// What tells it from an enrollment of the same name for another credential.
    credential: String,
}

#[derive(Default)]
struct Outcome {
    created: usize,
    present: usize,
    failed: Vec<Value>,
}

/// Fails before anything is written when the voucher is not accepted or a certificate is missing;
/// afterwards with the devices that were refused.
pub async fn run(flags: ImportFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let verified = super::verify(&flags.voucher, &flags.maker, Some(&flags.owner_key))?;
    let certificates = match &flags.certificates_dir {
        Some(dir) => certificates(dir).map_err(CommandError::Input)?,
        None => HashMap::new(),
    };
    let settings = flags.policy.read()?;
    let enrollment = |device: &Device| enrollment(device, &settings, &certificates);
    let enrollments: anyhow::Result<Vec<Enrollment>> =
        verified.devices().iter().map(enrollment).collect();
    let enrollments = enrollments.map_err(CommandError::Input)?;
    let client = invocation.target.connect(Service::Provisioning)?;
    let outcome = send_all(&client, &enrollments).await?;
    let summary = json!({
        "devices": enrollments.len(),
        "created": outcome.created,
        "present": outcome.present,
        "failed": outcome.failed,
    });
    output::print(invocation.output, &summary, COLUMNS)?;
    ensure!(
        outcome.failed.is_empty(),
        "{} of {} devices are not enrolled; the first: {}: {}",
        outcome.failed.len(),
        enrollments.len(),
        outcome.failed[0]["id"].as_str().unwrap_or_default(),
        outcome.failed[0]["error"].as_str().unwrap_or_default(),
    );
    Ok(())
}

/// The certificates of a folder, by thumbprint. Files that hold none are skipped.
fn certificates(dir: &Path) -> anyhow::Result<HashMap<Thumbprint, Certificate>> {
    let unreadable = || format!("cannot list {}", dir.display());
    let mut found = HashMap::new();
    for file in std::fs::read_dir(dir).with_context(unreadable)? {
        let path = file.with_context(unreadable)?.path();
        if path.is_file()
            && let Ok(all) = certificate_file::all(&path)
        {
            found.extend(all.into_iter().map(|one| (one.sha256(), one)));
        }
    }
    Ok(found)
}

fn enrollment(
    device: &Device,
    settings: &EnrollmentSettings,
    certificates: &HashMap<Thumbprint, Certificate>,
) -> anyhow::Result<Enrollment> {
    let by_certificate = |one: &Certificate| {
        let attestation = AttestationSettings::Certificates {
            primary: Some(one.to_pem()),
            secondary: None,
        };
        (attestation, one.sha256().to_string())
    };
    let (attestation, credential) = match &device.credential {
        Credential::Certificate(one) => by_certificate(one),
        Credential::Thumbprint(hash) => {
            let one = certificates.get(hash).with_context(|| {
                format!(
                    "device {}: the voucher has only the thumbprint {hash} of its certificate; an \
                     enrollment needs the certificate, give a folder that has it with \
                     --certificates-dir",
                    device.id
                )
            })?;
            by_certificate(one)
        }
        Credential::EndorsementKey(key) => {
            let key = STANDARD.encode(key.as_bytes());
            let attestation = AttestationSettings::Tpm {
                endorsement_key: Some(key.clone()),
                storage_root_key: None,
            };
            (attestation, key)
        }
    };
    let mut tags: Map<String, Value> = settings.tags.clone().unwrap_or_default();
    tags.extend(device.tags.clone());
    let settings = EnrollmentSettings {
        attestation: Some(attestation),
        tags: Some(tags).filter(|tags| !tags.is_empty()),
        ..settings.clone()
    };
    let id = device.id.as_str().to_owned();
    Ok(Enrollment {
        body: request_bodies::enrollment(&id, None, &settings, None),
        id,
        credential,
    })
}

/// As many enrollments as fit into requests, in order.
fn requests(enrollments: &[Enrollment]) -> Vec<&[Enrollment]> {
    let mut requests = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (at, enrollment) in enrollments.iter().enumerate() {
        let length = enrollment.body.to_string().len();
        if at > from && (at - from == MAX_BULK || size + length > MAX_REQUEST) {
            requests.push(&enrollments[from..at]);
            (from, size) = (at, 0);
        }
        size += length;
    }
    if from < enrollments.len() {
        requests.push(&enrollments[from..]);
    }
    requests
}

async fn send_all(client: &ServiceClient, all: &[Enrollment]) -> anyhow::Result<Outcome> {
    let bar = progress::bar("enrolling", all.len());
    let mut answers = stream::iter(requests(all))
        .map(|some| send(client, some))
        .buffer_unordered(CONCURRENCY);
    let mut outcome = Outcome::default();
    while let Some(answer) = answers.next().await {
        let done = outcome.created + outcome.present;
        let answer = answer.with_context(|| {
            format!(
                "{done} of {} devices are enrolled; run it again to go on",
                all.len()
            )
        })?;
        outcome.created += answer.created;
        outcome.present += answer.present;
        outcome.failed.extend(answer.failed);
        bar.set_position((outcome.created + outcome.present + outcome.failed.len()) as u64);
    }
    bar.finish_and_clear();
    outcome.failed.sort_by_key(|one| one["id"].to_string());
    Ok(outcome)
}

async fn send(client: &ServiceClient, some: &[Enrollment]) -> anyhow::Result<Outcome> {
    let bodies: Value = some.iter().map(|one| one.body.clone()).collect();
    let body = json!({"mode": "create", "enrollments": bodies});
    let call = Call::new(Method::POST, &["enrollments"]).body(&body);
    let answer = client.call(call).await?;
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let mut outcome = Outcome {
        created: some.len().saturating_sub(errors.len()),
        ..Outcome::default()
    };
    for error in errors {
        let id = error["registrationId"].as_str().unwrap_or_default();
        let sent = some.iter().find(|one| one.id.eq_ignore_ascii_case(id));
        let conflict = u64::from(DpsErrorCode::EnrollmentConflict.code());
        if error["errorCode"].as_u64() == Some(conflict)
            && let Some(sent) = sent
            && is_present(client, sent).await?
        {
            outcome.present += 1;
            continue;
        }
        outcome
            .failed
            .push(json!({"id": id, "error": error["errorStatus"]}));
    }
    Ok(outcome)
}

/// Whether the enrollment that is there is for the same credential, as after an earlier run.
async fn is_present(client: &ServiceClient, sent: &Enrollment) -> anyhow::Result<bool> {
    let path = ["enrollments", sent.id.as_str()];
    let stored = match client.call(Call::new(Method::GET, &path)).await {
        Ok(stored) => stored,
        Err(CommandError::Refused { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let attestation = &stored["attestation"];
    let primary = &attestation["x509"]["clientCertificates"]["primary"];
    let found = [
        &primary["info"]["sha256Thumbprint"],
        &attestation["tpm"]["endorsementKey"],
    ];
    let same = |text: &str| text.eq_ignore_ascii_case(&sent.credential);
    Ok(found.iter().filter_map(|value| value.as_str()).any(same))
}
