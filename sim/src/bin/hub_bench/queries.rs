//! Tag queries of a large fleet, one after the other over a connection that stays open, beside a
//! request that reads one twin over the same connection.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sim::Server;
use sim::measure::{Rows, Usage, median, quantile, stored_id};

use crate::Output;
use crate::devices::Operator;

/// Devices of one value of the tag `site`: what the first page of a query holds.
const OF_A_SITE: usize = 100;
/// Values of the tag `ring`, as `fill` gives them.
const RINGS: usize = 3;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Devices that are stored.
    #[arg(long, default_value_t = 1_000_000)]
    devices: usize,
    /// The program that stores them: `fill`, an example of the crate `provisioning`.
    #[arg(long)]
    fill: PathBuf,
    /// Requests of each kind in each round; a twentieth of them of the long kind.
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ReadTwin,
    Site,
    SiteAndRing,
    CountOfSite,
    CountOfRing,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::ReadTwin,
        Self::Site,
        Self::SiteAndRing,
        Self::CountOfSite,
        Self::CountOfRing,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::ReadTwin => "read a twin",
            Self::Site => "twins of a tag, first page",
            Self::SiteAndRing => "twins of two tags, first page",
            Self::CountOfSite => "count of a tag",
            Self::CountOfRing => "count of a tag of a third of all",
        }
    }

    fn requests(self, arguments: &Arguments) -> usize {
        match self {
            Self::CountOfRing => arguments.requests.div_ceil(20),
            _ => arguments.requests,
        }
    }
}

/// The fleet that `fill` stores: the number of a device says what tags it has.
#[derive(Debug, Clone, Copy)]
struct Fleet {
    devices: usize,
    sites: usize,
}

impl Fleet {
    fn of(devices: usize) -> Result<Self> {
        ensure!(
            devices >= OF_A_SITE,
            "--devices: {OF_A_SITE} at least are needed"
        );
        let sites = devices / OF_A_SITE;
        Ok(Self { devices, sites })
    }

    /// How many devices a site has, of one ring or of all.
    fn count(self, site: usize, ring: Option<usize>) -> usize {
        let of_site = (site..self.devices).step_by(self.sites);
        let of_ring = |number: &usize| ring.is_none_or(|ring| number % RINGS == ring);
        of_site.filter(of_ring).count()
    }

    /// How many devices are in a ring.
    fn in_ring(self, ring: usize) -> usize {
        (ring..self.devices).step_by(RINGS).count()
    }

    /// The request of a kind with a number, and the rows or the count that it has to answer.
    fn request(self, kind: Kind, operator: &Operator, number: usize) -> (RequestBuilder, usize) {
        // Far from the one before: another part of every table and index.
        let number = number.wrapping_mul(7_919);
        let (site, ring) = (number % self.sites, number % RINGS);
        let (text, expected) = match kind {
            Kind::ReadTwin => {
                let id = stored_id(number % self.devices);
                return (operator.request(Method::GET, &format!("/twins/{id}")), 1);
            }
            Kind::Site => (
                format!("SELECT * FROM devices WHERE tags.site = 's{site}'"),
                self.count(site, None).min(100),
            ),
            Kind::SiteAndRing => (
                format!("SELECT * FROM devices WHERE tags.site = 's{site}' AND tags.ring = {ring}"),
                self.count(site, Some(ring)),
            ),
            Kind::CountOfSite => (
                format!("SELECT COUNT() AS n FROM devices WHERE tags.site = 's{site}'"),
                self.count(site, None),
            ),
            Kind::CountOfRing => (
                format!("SELECT COUNT() AS n FROM devices WHERE tags.ring = {ring}"),
                self.in_ring(ring),
            ),
        };
        let request = operator.request(Method::POST, "/devices/query");
        (request.json(&json!({ "query": text })), expected)
    }
}

#[derive(Default)]
struct Measured {
    /// Microseconds of server CPU for each request, one value a round.
    cpu: Vec<f64>,
    /// Milliseconds that each request took.
    millis: Vec<f64>,
    /// How the rows were found.
    plan: String,
}

pub async fn measure(arguments: &Arguments) -> Result<()> {
    let fleet = Fleet::of(arguments.devices)?;
    let server = start(fleet, &arguments.fill).await?;
    let operator = Operator::of(&server)?;
    let mut all = Kind::ALL.map(|_| Measured::default());
    for round in 0..=arguments.rounds {
        for (kind, measured) in Kind::ALL.into_iter().zip(&mut all) {
            let before = Usage::of(server.process_id())?;
            let requests = kind.requests(arguments);
            let mut millis = Vec::with_capacity(requests);
            for number in 0..requests {
                let sent = fleet.request(kind, &operator, round * requests + number);
                let (one, plan) = ask(sent).await.with_context(|| kind.title())?;
                millis.push(one);
                measured.plan = plan;
            }
            let used = Usage::of(server.process_id())?.since(before);
            // Round 0 warms the server up and is not counted.
            if round > 0 {
                measured.cpu.push(used.cpu_micros / requests as f64);
                measured.millis.extend(millis);
            }
        }
    }
    print(arguments, &all)
}

/// A server that has the fleet stored, freshly started.
async fn start(fleet: Fleet, fill: &Path) -> Result<Server> {
    let mut server = Server::start().await?;
    server.terminate()?;
    let directory = server.data_dir().to_string_lossy().into_owned();
    let arguments = [
        directory,
        fleet.devices.to_string(),
        fleet.sites.to_string(),
    ];
    sim::run(fill, arguments)?.ok()?;
    server.start_again().await?;
    Ok(server)
}

/// Sends a request and reads its answer; the milliseconds that took, and the plan.
async fn ask((request, expected): (RequestBuilder, usize)) -> Result<(f64, String)> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status();
    let plan = response.headers().get("x-muster-query-plan").cloned();
    let body = response.bytes().await?;
    let millis = started.elapsed().as_secs_f64() * 1e3;
    ensure!(
        status.is_success(),
        "{status} {}",
        String::from_utf8_lossy(&body)
    );
    let answer: Value = serde_json::from_slice(&body)?;
    let found = match &answer {
        Value::Array(rows) => rows
            .first()
            .and_then(|row| row["n"].as_u64())
            .map_or(rows.len(), |n| n as usize),
        _ => 1,
    };
    ensure!(found == expected, "{found} in place of {expected}");
    let plan = plan.map(|plan| plan.to_str().map(str::to_owned));
    Ok((millis, plan.transpose()?.unwrap_or_default()))
}

fn print(arguments: &Arguments, all: &[Measured; 5]) -> Result<()> {
    let heading = format!(
        "{} devices; {} rounds of {} requests, one after the other over one connection",
        arguments.devices, arguments.rounds, arguments.requests
    );
    let columns = ["p50 ms", "p99 ms", "p50 ratio", "CPU µs/request"];
    let mut rows = Rows::new(&heading, &columns);
    let base = median(&all[0].millis);
    for (kind, measured) in Kind::ALL.into_iter().zip(all) {
        let (half, most) = (median(&measured.millis), quantile(&measured.millis, 0.99));
        rows.add(
            kind.title(),
            vec![half, most, half / base, median(&measured.cpu)],
            json!({
                "millis": {"p50": half, "p99": most},
                "toReadingATwin": half / base,
                "cpuMicrosPerRequest": measured.cpu,
                "plan": measured.plan,
            }),
        );
        if !measured.plan.is_empty() {
            rows.note(&format!("{}: {}", kind.title(), measured.plan));
        }
    }
    rows.print(arguments.output == Output::Json)
}
