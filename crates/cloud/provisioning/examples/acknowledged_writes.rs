//! Registers devices without end and says which ones are acknowledged, a line each: `device N` and
//! `event OFFSET`. `tests/crash.rs` runs it and kills it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ids::{DeviceId, EnrollmentId, Etag, HubHost, HubName, RegistrationId, Thumbprint, Timestamp};
use provisioning::{
    Assign, AttestationKind, Choice, DeviceProof, EnrolledBy, EnrollmentDraft, EnrollmentKey,
    Provisioning, Registrant, ReprovisionPolicy,
};
use registry::{Event, IfMatch, Init, InitialTwin, SystemEntropy};
use wire::telemetry::EventSource;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .ok_or("usage: acknowledged_writes DIRECTORY FIRST")?;
    let first: u64 = arguments
        .next()
        .ok_or("usage: acknowledged_writes DIRECTORY FIRST")?
        .parse()?;
    let init = Init {
        rehearse: false,
        hub_name: HubName::parse("hub")?,
        hub_host: HubHost::parse("localhost")?,
        entropy: Arc::new(SystemEntropy),
    };
    let provisioning = Provisioning::open(
        directory.as_ref(),
        init,
        Default::default(),
        Timestamp::from_unix_seconds(1),
    )
    .await?;
    let enrollment_etag = enroll(&provisioning).await?;
    let next = Arc::new(AtomicU64::new(first));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..8 {
        running.spawn(write_forever(
            provisioning.clone(),
            enrollment_etag.clone(),
            next.clone(),
        ));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// The group of all devices, made anew by every run.
async fn enroll(provisioning: &Provisioning) -> Result<Etag, Failure> {
    let key = EnrollmentKey::Group(EnrollmentId::parse("group")?);
    let draft = EnrollmentDraft {
        key: key.clone(),
        enabled: true,
        attestation: AttestationKind::X509,
        document: serde_json::json!({}),
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    };
    let if_match = match provisioning.enrollment(&key).await? {
        Some(_) => IfMatch::Any,
        None => IfMatch::Absent,
    };
    let written = provisioning
        .put_enrollment(draft, &if_match, Timestamp::from_unix_seconds(1))
        .await?;
    Ok(written.etag)
}

async fn write_forever(
    provisioning: Provisioning,
    enrollment_etag: Etag,
    next: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let hub = HubName::parse("hub")?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_unix_seconds(i64::try_from(number)?);
        let name = format!("d{number}");
        let registrant = Registrant {
            registration_id: RegistrationId::parse(&name)?,
            enrollment: EnrolledBy::Group(EnrollmentId::parse("group")?),
            enrollment_etag: enrollment_etag.clone(),
            device_id: DeviceId::parse(&name)?,
            iot_edge: true,
            proof: DeviceProof::Certificate(Thumbprint::from_bytes([1; 32])),
            initial_twin: InitialTwin::default(),
            policy: ReprovisionPolicy::MigrateData,
            detail: None,
            by_secondary: false,
            issued: None,
        };
        let choice = Choice {
            hub: hub.clone(),
            twin: None,
            payload: None,
            skipped: Vec::new(),
        };
        let assign = Assign { registrant, choice };
        let assigned = provisioning.assign(assign, now).await?.assigned();
        assigned.ok_or("a remote hub has to be asked")?;
        say(&format!("device {number}\n"))?;
        let event = Event {
            hub: hub.clone(),
            device: DeviceId::parse(&name)?,
            module: None,
            enqueued: now,
            source: EventSource::DeviceMessages,
            sender: None,
            properties: Vec::new(),
            body: name.into_bytes(),
        };
        let offset = provisioning.registry().append_telemetry(&event).await?;
        say(&format!("event {offset} {number}\n"))?;
    }
}

/// One write per line: a line that the reader has is whole.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
