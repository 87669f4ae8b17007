//! How long a deployment to every device of a fleet takes, and what registrations wait meanwhile,
//! beside the same registrations of the same run before it was created.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sim::Server;
use sim::measure::{Hierarchy, Resident, Usage, quantile, stored_id};
use tokio::time::sleep;

use crate::Output;
use crate::client::{Maker, Talk};
use crate::steady::Steady;
use crate::stored::{Kind, start};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// IoT Edge devices that are stored, all of them targeted.
    #[arg(long, default_value_t = 1_000_000)]
    devices: usize,
    /// The program that fills a data directory: the example `fill` of crate `provisioning`.
    #[arg(long)]
    fill: PathBuf,
    /// Registrations a second, before the deployment and meanwhile.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long devices register before the deployment is created.
    #[arg(long, default_value_t = 30)]
    baseline_seconds: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How long devices register before anything is counted.
const WARM_UP: Duration = Duration::from_secs(5);
/// Twins that the deployment writes of each device: those of `$edgeAgent` and `$edgeHub`.
const TWINS: f64 = 2.0;
/// Time between two looks at the last device.
const LOOK: Duration = Duration::from_millis(250);
/// Longer than a slow machine needs for a million devices.
const LIMIT: Duration = Duration::from_secs(2 * 3600);

pub async fn measure(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hierarchy = Hierarchy::make(dir.path())?;
    let root = dir.path().join("root.pem");
    let count = arguments.devices;
    let (server, _) = start(count, Kind::EdgeDevice, &arguments.fill, &root).await?;
    let steady = Steady {
        maker: Maker::new(&hierarchy, &std::fs::read_to_string(server.ca()?)?)?,
        address: format!("{}:443", server.host()).parse()?,
        talk: Talk::Registration {
            scope: server.id_scope()?,
        },
        rate: arguments.rate,
    };
    let operator = Operator::of(&server)?;
    let wait = |period| async move {
        sleep(period).await;
        Ok(())
    };
    steady.during("warm", wait(WARM_UP)).await?;
    let baseline = Duration::from_secs(arguments.baseline_seconds);
    let ((), before) = steady.during("before", wait(baseline)).await?;
    let ready = Resident::of(server.process_id())?;
    let used = Usage::of(server.process_id())?;
    let deployed = operator.deploy(count);
    let (seconds, meanwhile) = steady.during("meanwhile", deployed).await?;
    let used = Usage::of(server.process_id())?.since(used);
    let memory = Resident::of(server.process_id())?;
    Report {
        devices: count,
        rate: arguments.rate,
        before: Waits::of(&before),
        meanwhile: Waits::of(&meanwhile),
        seconds,
        used,
        memory: [ready.now, memory.now, memory.most],
    }
    .print(arguments.output == Output::Json)
}

/// The first hub's service API, called by its owner.
struct Operator {
    client: Client,
    origin: String,
    token: String,
}

impl Operator {
    fn of(server: &Server) -> Result<Self> {
        Ok(Self {
            client: server.client()?,
            origin: format!("https://{}", server.host()),
            token: server.hub_owner_token()?,
        })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}{path}?api-version=2021-04-12", self.origin);
        let mut request = self.client.request(method, url);
        request = request.header("authorization", &self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{path}: not JSON"))
    }

    /// Creates a deployment that targets all stored devices, and waits until every one of them has
    /// it; seconds.
    async fn deploy(&self, count: usize) -> Result<f64> {
        let created = Instant::now();
        let path = "/configurations/all";
        self.call(Method::PUT, path, Some(&deployment())).await?;
        // Devices are brought up to date in the order of their ids. A look at the last one is
        // cheap; counting all is not.
        let last = (0..count).map(stored_id).max().context("no devices")?;
        let twin = format!("/twins/{last}/modules/$edgeAgent");
        loop {
            let agent = self.call(Method::GET, &twin, None).await?;
            if agent["properties"]["desired"].get("modules").is_some() {
                let seconds = created.elapsed().as_secs_f64();
                let answer = self.call(Method::GET, path, None).await?;
                let counts = &answer["systemMetrics"]["results"];
                if counts["appliedCount"] == count {
                    return Ok(seconds);
                }
                ensure!(
                    counts["targetedCount"].as_u64() <= Some(count as u64),
                    "it targets other devices too: {counts}"
                );
            }
            ensure!(created.elapsed() < LIMIT, "not every device has it");
            sleep(LOOK).await;
        }
    }
}

fn deployment() -> Value {
    let module = |image: &str| {
        json!({"type": "docker", "status": "running", "restartPolicy": "always", "version": "1.0",
            "settings": {"image": image, "createOptions": "{\"HostConfig\": {\"Memory\": 67108864}}"}})
    };
    let agent = json!({
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
        "systemModules": {
            "edgeAgent": {"type": "docker", "settings": {"image": "r.example/agent:1.5"}},
            "edgeHub": module("r.example/hub:1.5"),
        },
        "modules": {"sensor": module("r.example/sensor:1.0")},
    });
    let hub = json!({
        "schemaVersion": "1.1",
        "routes": {"up": "FROM /messages/* INTO $upstream"},
        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
    });
    json!({
        "id": "all",
        "targetCondition": "tags.ring >= 0",
        "priority": 10,
        "content": {"modulesContent": {
            "$edgeAgent": {"properties.desired": agent},
            "$edgeHub": {"properties.desired": hub},
        }},
    })
}

/// How long registrations took, milliseconds.
struct Waits {
    count: usize,
    p50: f64,
    p99: f64,
    most: f64,
}

impl Waits {
    fn of(millis: &[f64]) -> Self {
        Self {
            count: millis.len(),
            p50: quantile(millis, 0.5),
            p99: quantile(millis, 0.99),
            most: quantile(millis, 1.0),
        }
    }

    fn json(&self) -> Value {
        json!({"registrations": self.count, "p50": self.p50, "p99": self.p99, "most": self.most})
    }
}

/// Everything that one run found.
struct Report {
    devices: usize,
    rate: f64,
    before: Waits,
    meanwhile: Waits,
    seconds: f64,
    used: Usage,
    /// MiB before, after, and at most.
    memory: [f64; 3],
}

impl Report {
    fn print(&self, as_json: bool) -> Result<()> {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        match as_json {
            true => writeln!(out, "{:#}", self.json())?,
            false => write!(out, "{}", self.table())?,
        }
        Ok(())
    }

    /// Devices in a second; microseconds of CPU and bytes written for each, registrations
    /// included.
    fn pace(&self) -> [f64; 3] {
        let devices = self.devices as f64;
        let Usage {
            cpu_micros,
            written,
        } = self.used;
        [
            devices / self.seconds,
            cpu_micros / devices,
            written / devices,
        ]
    }

    fn ratios(&self) -> [f64; 2] {
        let (before, meanwhile) = (&self.before, &self.meanwhile);
        [meanwhile.p50 / before.p50, meanwhile.p99 / before.p99]
    }

    fn json(&self) -> Value {
        let ([p50, p99], [rate, cpu, written]) = (self.ratios(), self.pace());
        let [ready, after, most] = self.memory;
        json!({
            "devices": self.devices,
            "seconds": self.seconds,
            "devicesPerSecond": rate,
            "twinWritesPerSecond": rate * TWINS,
            "cpuMicrosPerDevice": cpu,
            "bytesWrittenPerDevice": written,
            "residentMebibytes": {"ready": ready, "after": after, "most": most},
            "registrationsPerSecond": self.rate,
            "registrationMillis": {
                "before": self.before.json(),
                "meanwhile": self.meanwhile.json(),
                "ratio": {"p50": p50, "p99": p99},
            },
        })
    }

    fn table(&self) -> String {
        let ([p50, p99], [rate, cpu, written]) = (self.ratios(), self.pace());
        let [ready, after, most] = self.memory;
        let mut text = format!(
            "{} IoT Edge devices, {} registrations a second meanwhile; TLS 1.3, full mutual \
             handshakes\n{:<32} {:>8} {:>9} {:>9} {:>9}\n",
            self.devices, self.rate, "registration", "count", "p50 ms", "p99 ms", "most ms"
        );
        for (title, waits) in [
            ("before the deployment", &self.before),
            ("until every device has it", &self.meanwhile),
        ] {
            text += &format!(
                "{title:<32} {:>8} {:>9.1} {:>9.1} {:>9.1}\n",
                waits.count, waits.p50, waits.p99, waits.most
            );
        }
        text += &format!("{:<32} {:>8} {p50:>9.2} {p99:>9.2}\n", "ratio", "");
        text += &format!(
            "every device had it after {:.1} s: {rate:.0} devices, {:.0} twin writes a second\n\
             {cpu:.0} µs of CPU and {written:.0} B written a device, registrations included\n\
             resident {ready:.0} MiB before, {after:.0} MiB after, {most:.0} MiB at most\n",
            self.seconds,
            rate * TWINS
        );
        text
    }
}
