//! What a registration costs at a server that has a large fleet already, beside one that
//! has a small one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use sim::Server;
use sim::measure::{Hierarchy, Resident};

use crate::case::Case;
use crate::report::Report;
use crate::servers::{BareServer, Target, enroll};
use crate::{Arguments, Output};

/// Devices of the small fleet.
const FEW: usize = 1000;

/// Measures both, and says how long the large one took to be ready and what memory it holds.
pub async fn measure(arguments: &Arguments, count: usize, fill: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hierarchy = Hierarchy::make(dir.path())?;
    let root = dir.path().join("root.pem");
    let (few, _) = start(FEW, Kind::Device, fill, &root).await?;
    let (many, ready) = start(count, Kind::Device, fill, &root).await?;
    let bare = BareServer::start(dir.path()).await?;
    let at_first = Resident::of(many.process_id())?;
    let (operations, concurrency) = (arguments.registrations, arguments.concurrency);
    let mut report = Report::new(operations, concurrency, &Case::STORED);
    for round in 0..=arguments.rounds {
        for case in Case::STORED {
            let muster = if case == Case::AmongMany { &many } else { &few };
            let target = Target::of(case, &hierarchy, &bare, muster)?;
            // Round 0 warms the servers up and is not counted.
            let measured = report.of(case).filter(|_| round > 0);
            let round = (round, operations);
            target
                .run((case, &hierarchy), round, concurrency, measured)
                .await?;
        }
    }
    let memory = Resident::of(many.process_id())?;
    let ratio = report.ratio(Case::AmongMany, Case::AmongFew);
    report.print(
        arguments.output == Output::Json,
        &[
            (
                "manyToFew",
                json!(ratio),
                format!(
                    "with {count} devices stored a registration costs {ratio:.2} of what it costs \
                     with {FEW}"
                ),
            ),
            (
                "readyMillis",
                json!(ready.as_millis()),
                format!("ready {} ms after the start", ready.as_millis()),
            ),
            (
                "residentMebibytes",
                json!({"ready": at_first.now, "after": memory.now, "most": memory.most}),
                format!(
                    "resident {:.0} MiB when ready, {:.0} MiB after all rounds, {:.0} MiB at most",
                    at_first.now, memory.now, memory.most
                ),
            ),
        ],
    )
}

/// What the stored devices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Device,
    EdgeDevice,
}

/// A server that has devices stored, freshly started, and how long that took.
pub async fn start(
    count: usize,
    kind: Kind,
    fill: &Path,
    root: &Path,
) -> Result<(Server, Duration)> {
    let mut server = Server::start().await?;
    enroll(&server, root).await?;
    server.terminate()?;
    let mut arguments = vec![
        server.data_dir().to_string_lossy().into_owned(),
        count.to_string(),
    ];
    if kind == Kind::EdgeDevice {
        arguments.extend(["1000", "edge"].map(str::to_owned));
    }
    sim::run(fill, arguments)?.ok()?;
    let started = Instant::now();
    server.start_again().await?;
    Ok((server, started.elapsed()))
}
