//! Rates of issuing, for `cargo xtask bench issuing`: what the primitives allow, and what the
//! server's issuing function reaches with every certificate on disk before it is answered.
//!
//! `cargo run --release -p issuing --example rates -- DIRECTORY` in an empty directory. The three
//! are measured in turns, and the medians are printed as JSON.

use ids::ProfileKind;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ca::DeviceIssuers;
use ids::{IssuerName, Timestamp};
use issuing::{Wanted, issue};
use nix::time::ClockId;
use pki::{Certificate, prove_request};
use provisioning::{IssuerDraft, IssuerRecord, Provisioning, Requester};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use registry::revocation::ProvenPath;
use registry::{Init, SystemEntropy};
use tokio::task::JoinSet;
use wire::muster_api::issuer::{DeviceKeyType, IssuerProfile, IssuerSettings, Lifetime};

type Fault = Box<dyn Error + Send + Sync>;

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
/// Rounds before the first measurement: the caches of a server that runs for a while are full.
const WARM_UP: usize = 10;
/// Certificates of one measurement.
const COUNT: usize = 6000;
/// Devices that ask at once.
const CONCURRENCY: usize = 4096;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let Some(directory) = std::env::args().nth(1) else {
        return Err("usage: rates DIRECTORY".into());
    };
    let service = Arc::new(Service::open(Path::new(&directory)).await?);
    let requests: Arc<[Vec<u8>]> = (0..COUNT).map(request).collect::<Result<_, _>>()?;
    let raw = Raw::make()?;
    for _ in 0..WARM_UP {
        service.issue_all(&requests).await?;
    }
    let [mut keygen, mut verify, mut issued] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        keygen.push(measure(async { on_all_cores(|_| raw.with_new_key()) }).await?);
        verify.push(measure(async { on_all_cores(|n| raw.for_request(&requests[n])) }).await?);
        issued.push(measure(service.issue_all(&requests)).await?);
    }
    writeln!(
        std::io::stdout(),
        "{{\"keygenAndSign\":{},\"verifyAndSign\":{},\"issued\":{}}}",
        median(keygen),
        median(verify),
        median(issued)
    )?;
    Ok(())
}

/// One measurement of [`COUNT`] certificates.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

async fn measure(work: impl Future<Output = Result<(), Fault>>) -> Result<Cost, Fault> {
    let (wall, cpu) = (Instant::now(), cpu_time()?);
    work.await?;
    Ok(Cost {
        wall: wall.elapsed(),
        cpu: cpu_time()?.saturating_sub(cpu),
    })
}

fn cpu_time() -> Result<Duration, Fault> {
    Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into())
}

/// JSON of the medians.
fn median(mut costs: Vec<Cost>) -> String {
    costs.sort_by_key(|cost| cost.wall);
    let wall = costs[costs.len() / 2].wall;
    costs.sort_by_key(|cost| cost.cpu);
    let cpu = costs[costs.len() / 2].cpu;
    let per_second = COUNT as f64 / wall.as_secs_f64();
    let micros = cpu.as_secs_f64() * 1e6 / COUNT as f64;
    format!("{{\"perSecond\":{per_second:.1},\"cpuMicros\":{micros:.2}}}")
}

fn on_all_cores(one: impl Fn(usize) -> Result<(), Fault> + Sync) -> Result<(), Fault> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism()?.get();
    let work = || -> Result<(), Fault> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= COUNT {
                return Ok(());
            }
            one(number)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// A CA without anything around it: it looks at nothing that it signed.
struct Raw {
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Raw {
    fn make() -> Result<Self, Fault> {
        let params = named("Raw CA");
        let key = KeyPair::generate()?;
        Ok(Self {
            issuer: rcgen::Issuer::new(params, key),
        })
    }

    fn with_new_key(&self) -> Result<(), Fault> {
        let key = KeyPair::generate()?;
        leaf_params().signed_by(&key, &self.issuer)?;
        Ok(())
    }

    fn for_request(&self, request: &[u8]) -> Result<(), Fault> {
        let proven = prove_request(request)?;
        leaf_params().signed_by(&proven, &self.issuer)?;
        Ok(())
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = named("device-000001");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params
}

fn request(number: usize) -> Result<Vec<u8>, Fault> {
    let key = KeyPair::generate()?;
    let request = named(&format!("device-{number:06}")).serialize_request(&key)?;
    Ok(request.der().to_vec())
}

/// The server's parts that issue, on disk.
struct Service {
    provisioning: Provisioning,
    keys: DeviceIssuers,
    issuer: IssuerRecord,
    client: ProvenPath,
}

impl Service {
    async fn open(directory: &Path) -> Result<Self, Fault> {
        let init = Init {
            rehearse: false,
            hub_name: "hub".parse()?,
            hub_host: "hub.example".parse()?,
            entropy: Arc::new(SystemEntropy),
        };
        let provisioning = Provisioning::open(directory, init, Default::default(), now()).await?;
        let keys = DeviceIssuers::at(directory);
        let chain = keys.make("Fleet CA", 3650, 0, now())?;
        let client = ProvenPath::of(chain.first().ok_or("no CA certificate")?, []);
        let ca_certificate = chain.first().ok_or("no CA certificate")?.sha256();
        let draft = IssuerDraft {
            name: IssuerName::parse("fleet")?,
            ca_certificate,
            chain: chain.iter().map(Certificate::to_pem).collect(),
            profile: IssuerProfile {
                kind: ProfileKind::EdgeIdentity,
                lifetime: Lifetime::Days { days: 90 },
                key_types: vec![DeviceKeyType::P256],
            },
            settings: IssuerSettings::default(),
        };
        let issuer = provisioning.create_issuer(draft, now()).await?;
        Ok(Self {
            provisioning,
            keys,
            issuer,
            client,
        })
    }

    async fn issue_all(self: &Arc<Self>, requests: &Arc<[Vec<u8>]>) -> Result<(), Fault> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut devices = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let (service, requests, next) = (self.clone(), requests.clone(), next.clone());
            devices.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(number) else {
                        return Ok::<_, Fault>(());
                    };
                    service.issue(request).await?;
                }
            });
        }
        while let Some(ended) = devices.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn issue(&self, request: &[u8]) -> Result<(), Fault> {
        let wanted = Wanted {
            issuer: &self.issuer,
            request: prove_request(request)?,
            common_name: None,
            requester: Requester::EstCertificate(self.client.clone()),
        };
        issue(wanted, &self.keys, &self.provisioning, now()).await?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this program's clock")]
fn now() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_seconds(0).plus(since_1970)
}
