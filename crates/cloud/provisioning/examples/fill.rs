//! Fills a data directory with devices that have enrolled and registered: what the benchmark of
//! large fleets starts from.
//!
//! `cargo run --release -p provisioning --example fill -- DIRECTORY COUNT [SITES [edge]]`. Their tag
//! `site` has so many values, 1000 when it is not said. With `edge` they are IoT Edge devices. Every
//! device is written by the provisioning's own transactions, as if an operator had enrolled it on
//! its own and it had registered; nothing is written behind their back. The directory must have
//! been described once and must not be described now.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ids::{DeviceId, RegistrationId, Timestamp};
use provisioning::{
    Assign, AttestationKind, Choice, Detail, DeviceProof, EnrolledBy, EnrollmentDraft,
    EnrollmentKey, Provisioning, Registrant, ReprovisionPolicy,
};
use registry::{IfMatch, Init, InitialTwin, SystemEntropy};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use wire::device_api::registration::{AttestationDetail, SymmetricKeyResult};

type Fault = Box<dyn Error + Send + Sync>;
type Outcome = Result<(), Fault>;

/// Devices that are written at once: as many as fit into two transactions.
const AT_ONCE: usize = 1024;

#[derive(Clone, Copy)]
struct Fleet {
    count: usize,
    sites: NonZeroUsize,
    iot_edge: bool,
}

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fill DIRECTORY COUNT [SITES [edge]]".into());
    };
    let sites = arguments.next().unwrap_or_else(|| "1000".to_owned());
    let fleet = Fleet {
        count: count.parse()?,
        sites: sites.parse()?,
        iot_edge: match arguments.next().as_deref() {
            None => false,
            Some("edge") => true,
            Some(other) => return Err(format!("{other}: edge was expected").into()),
        },
    };
    let provisioning = open(directory.into()).await?;
    fill(&provisioning, fleet).await
}

async fn open(directory: PathBuf) -> Result<Provisioning, Fault> {
    let described = Provisioning::describe(&directory)?;
    let hub = described
        .local
        .hubs
        .first()
        .ok_or("the directory has no hub")?;
    let init = Init {
        rehearse: false,
        hub_name: hub.name.clone(),
        hub_host: hub.host.clone(),
        entropy: Arc::new(SystemEntropy),
    };
    Ok(Provisioning::open(&directory, init, Default::default(), now()).await?)
}

async fn fill(provisioning: &Provisioning, fleet: Fleet) -> Outcome {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (provisioning, next) = (provisioning.clone(), next.clone());
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= fleet.count {
                    return Ok::<_, Fault>(());
                }
                device(&provisioning, number, fleet).await?;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Enrolls a device on its own, with keys, and registers it.
async fn device(provisioning: &Provisioning, number: usize, fleet: Fleet) -> Outcome {
    // Scattered, as the serial numbers of a fleet are.
    let scattered = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id = RegistrationId::parse(&format!("stored-{scattered:016x}"))?;
    let twin = json!({"site": format!("s{}", number % fleet.sites), "ring": number % 3});
    let primary = provisioning.fresh_enrollment_key();
    let secondary = provisioning.fresh_enrollment_key();
    let keys = json!({"primaryKey": primary.reveal(), "secondaryKey": secondary.reveal()});
    let draft = EnrollmentDraft {
        key: EnrollmentKey::Individual(id.clone()),
        enabled: true,
        attestation: AttestationKind::SymmetricKey,
        document: json!({
            "registrationId": id,
            "attestation": {"type": "symmetricKey", "symmetricKey": keys},
            "provisioningStatus": "enabled",
            "capabilities": {"iotEdge": fleet.iot_edge},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
            "initialTwin": {"tags": twin, "properties": {"desired": {}}},
        }),
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    };
    let enrollment = provisioning
        .put_enrollment(draft, &IfMatch::Absent, now())
        .await?;
    let tags: Map<String, Value> = twin.as_object().cloned().unwrap_or_default();
    let service = provisioning.service();
    let hub = service.hubs.first().ok_or("no hub is linked")?;
    let registrant = Registrant {
        device_id: DeviceId::parse(id.as_str())?,
        registration_id: id,
        enrollment: EnrolledBy::Individual,
        enrollment_etag: enrollment.etag,
        iot_edge: fleet.iot_edge,
        proof: DeviceProof::Keys { primary, secondary },
        initial_twin: InitialTwin::new(&tags, &Map::new())?,
        policy: ReprovisionPolicy::MigrateData,
        by_secondary: false,
        issued: None,
        detail: Some(Detail::of(&AttestationDetail {
            symmetric_key: Some(SymmetricKeyResult {
                enrollment_group_id: None,
            }),
            ..AttestationDetail::default()
        })),
    };
    let choice = Choice {
        hub: hub.name.clone(),
        twin: None,
        payload: None,
        skipped: Vec::new(),
    };
    provisioning
        .assign(Assign { registrant, choice }, now())
        .await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this program's clock")]
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_unix_seconds(0).plus(since_1970.unwrap_or(Duration::ZERO))
}
