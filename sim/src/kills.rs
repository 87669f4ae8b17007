//! kill -9 of a server under load, again and again: what it acknowledged is there after each start,
//! whole and once.

mod configurations;
mod devices;
mod jobs;
mod target;
mod telemetry;
mod twins;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::configurations::Configurations;
use self::devices::Devices;
use self::jobs::Jobs;
use self::target::Target;
use self::telemetry::Telemetry;
use self::twins::{Reported, Tagged};
use crate::Server;

/// From the moment when the server is ready to its end, in milliseconds.
const LIFETIME: std::ops::RangeInclusive<u64> = 100..=1500;

/// How often a server is killed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Kills {
    pub count: u32,
    /// The moments follow from it.
    pub seed: u64,
}

/// Writes that were acknowledged, and are there.
#[derive(Debug)]
pub struct Survived {
    kills: u32,
    writes: [(&'static str, usize); 6],
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} times kill -9; acknowledged, and there:", self.kills)?;
        for (what, count) in self.writes {
            writeln!(f, "{count:>10} {what}")?;
        }
        Ok(())
    }
}

/// What the log of the hub keeps, in MiB: more than is written, for in the end it is read as a whole.
const KEPT: u32 = 64 * 1024;

/// Kills a server under load so many times. An acknowledged write that is lost, torn or doubled is
/// an error.
pub async fn survive(kills: Kills) -> Result<Survived> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("muster.toml");
    std::fs::write(&config, format!("[telemetry]\nmib_per_hub = {KEPT}\n"))?;
    let config = config.to_string_lossy().into_owned();
    let mut server = Server::start_with(vec!["--config".to_owned(), config]).await?;
    let mut random = StdRng::seed_from_u64(kills.seed);
    let mut load = Load::prepare(&server).await?;
    for kill in 1..=kills.count {
        let lifetime = Duration::from_millis(random.random_range(LIFETIME));
        let life = one_life(&mut server, &mut load, lifetime).await;
        life.with_context(|| {
            let seed = kills.seed;
            format!("seed {seed}, kill {kill}, {lifetime:?} after the start")
        })?;
    }
    let survived = load.check_all(&Target::of(&server)?, kills.count).await?;
    server.muster("audit verify").await?;
    ensure!(!server.log().contains("panicked"), "{}", server.log());
    let is_loaded = survived.writes.iter().all(|(_, count)| *count > 0);
    ensure!(is_loaded, "nothing is proven: {survived}");
    Ok(survived)
}

/// Writes until the server is killed, and reads after it has started again.
async fn one_life(server: &mut Server, load: &mut Load, lifetime: Duration) -> Result<()> {
    let target = Target::of(server)?;
    let strike = async {
        tokio::time::sleep(lifetime).await;
        target.will_be_killed();
        server.kill()
    };
    tokio::try_join!(strike, load.write(&target))?;
    server.start_again().await?;
    load.check(&Target::of(server)?).await
}

/// Everything that is written at the same time. Each part waits for its acknowledgements, and
/// knows what was acknowledged and what was on its way.
struct Load {
    telemetry: Telemetry,
    reported: Reported,
    tagged: Tagged,
    devices: [Devices; 2],
    jobs: Jobs,
    configurations: Configurations,
}

impl Load {
    async fn prepare(server: &Server) -> Result<Self> {
        let target = Target::of(server)?;
        for device in ["telemetry", "reported", "tagged", "worked-on"] {
            target.create_device(device).await?.context("no answer")?;
        }
        Ok(Self {
            telemetry: Telemetry::of(target.device(server, "telemetry")?),
            reported: Reported::of(target.device(server, "reported")?),
            tagged: Tagged::default(),
            devices: [Devices::named("a"), Devices::named("b")],
            jobs: Jobs::default(),
            configurations: Configurations::default(),
        })
    }

    /// Until the server is killed.
    async fn write(&mut self, target: &Target) -> Result<()> {
        let [some, others] = &mut self.devices;
        tokio::try_join!(
            self.telemetry.write(target),
            self.reported.write(target),
            self.tagged.write(target),
            some.write(target),
            others.write(target),
            self.jobs.write(target),
            self.configurations.write(target),
        )?;
        Ok(())
    }

    /// What was written since the last check.
    async fn check(&mut self, target: &Target) -> Result<()> {
        let [some, others] = &mut self.devices;
        tokio::try_join!(
            self.telemetry.check(target),
            self.reported.check(target),
            self.tagged.check(target),
            some.check(target),
            others.check(target),
            self.jobs.check(target),
            self.configurations.check(target),
        )?;
        Ok(())
    }

    /// Whatever was written and is not overwritten, and how much that was.
    async fn check_all(&self, target: &Target, kills: u32) -> Result<Survived> {
        self.telemetry.check_all(target).await?;
        let counts = target.queued_messages().await?;
        for devices in &self.devices {
            devices.check_all(&counts)?;
        }
        self.jobs.check_all(target).await?;
        let devices = || self.devices.iter();
        Ok(Survived {
            kills,
            writes: [
                ("messages of a device", self.telemetry.count()),
                (
                    "changes of twins",
                    self.reported.count() + self.tagged.count(),
                ),
                ("devices", devices().map(Devices::count).sum()),
                (
                    "cloud-to-device messages",
                    devices().map(Devices::messages).sum(),
                ),
                ("jobs", self.jobs.count()),
                ("changes of configurations", self.configurations.count()),
            ],
        })
    }
}
