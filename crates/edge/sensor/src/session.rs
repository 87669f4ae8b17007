//! Sessions with the hub.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use device::{Backoff, Credential, Event, Hub, HubOptions, MethodCall, Trust, token};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use wire::device_api::message::{PropertyBag, system};

use crate::clock;
use crate::desired::Settings;
use crate::environment::Environment;
use crate::machine::Machine;

/// The validity of a token, and the time after which a connection is replaced by one
/// with a new token.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const RENEWAL: Duration = Duration::from_secs(3300);
const KEEP_ALIVE: u16 = 60;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A connection that lasted this long makes the next pause short again.
const STABLE: Duration = Duration::from_secs(30);

struct Sensor<'a> {
    environment: &'a Environment,
    machine: Machine,
    settings: Settings,
    sent: u64,
}

/// Connects, sends, and connects again, for ever.
pub(crate) async fn run(environment: &Environment) -> Infallible {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let (machine, settings) = (Machine::new(), Settings::default());
    let mut sensor = Sensor {
        environment,
        machine,
        settings,
        sent: 0,
    };
    loop {
        let started = Instant::now();
        let ended = sensor.work().await;
        if started.elapsed() >= STABLE {
            backoff.succeeded();
        }
        if let Err(error) = ended {
            let wait = backoff.failed(rand::random());
            tracing::warn!(retry.seconds = wait.as_secs_f64(), "{error:#}");
            tokio::time::sleep(wait).await;
        }
    }
}

impl Sensor<'_> {
    /// One connection. Returns `Ok` when its token has to be renewed.
    async fn work(&mut self) -> anyhow::Result<()> {
        let options = self.options().await?;
        let (hub, mut events) = Hub::connect(&options).await?;
        let Environment {
            hub: host, module, ..
        } = self.environment;
        tracing::info!(hub.host = %host, module.id = %module, "connected");
        let twin = hub.get_twin().await?;
        // The whole twin is applied: a property that was removed meanwhile gets its default.
        self.settings = Settings::default();
        self.follow(&hub, &twin.desired.properties).await?;
        let mut version = twin.desired.version;
        let renewal = Instant::now() + RENEWAL;
        let mut last = None::<Instant>;
        loop {
            let next = last.map_or_else(Instant::now, |last| last + self.settings.interval());
            // `next` is cancel-safe, and the others are timers. An arm that has begun is finished.
            tokio::select! {
                event = events.next() => match event {
                    // A change that is older than the twin would undo newer changes.
                    Some(Event::Desired(change)) if change.version <= version => {}
                    Some(Event::Desired(change)) => {
                        version = change.version;
                        self.follow(&hub, &change.properties).await?;
                    }
                    Some(Event::Method(call)) => self.answer(&hub, &call).await?,
                    Some(Event::Disconnected(lost)) => return Err(lost.into()),
                    None => anyhow::bail!("the connection is over"),
                },
                () = tokio::time::sleep_until(next), if self.settings.send => {
                    last = Some(Instant::now());
                    self.send(&hub).await?;
                }
                () = tokio::time::sleep_until(renewal) => {
                    hub.close().await;
                    return Ok(());
                }
            }
        }
    }

    /// The options for a connection, with current roots and a new token.
    async fn options(&self) -> anyhow::Result<HubOptions> {
        let Environment {
            hub,
            gateway,
            device,
            module,
            workload,
        } = self.environment;
        let roots = workload.trust_bundle().await?;
        let expiry = clock::now().plus(TOKEN_LIFE);
        let token = token(workload, hub.as_str(), device, Some(module), expiry).await?;
        Ok(HubOptions {
            hub: hub.clone(),
            gateway: gateway.clone(),
            device: device.clone(),
            module: Some(module.clone()),
            credential: Credential::Token(token),
            trust: Trust::native_and(&roots)?,
            keep_alive: KEEP_ALIVE,
            client_type: concat!("simulated-temperature-sensor/", env!("CARGO_PKG_VERSION"))
                .to_owned(),
        })
    }

    async fn follow(&mut self, hub: &Hub, change: &Map<String, Value>) -> anyhow::Result<()> {
        for problem in self.settings.apply(change) {
            tracing::warn!("ignored: {problem}");
        }
        hub.report(&self.settings.report(), None).await?;
        tracing::info!(settings = %self.settings.report(), "desired properties followed");
        Ok(())
    }

    async fn answer(&mut self, hub: &Hub, call: &MethodCall) -> anyhow::Result<()> {
        let (status, body) = match call.name.as_str() {
            "reset" => {
                self.machine = Machine::new();
                say("reset");
                (200, json!({}))
            }
            other => (
                501,
                json!({ "message": format!("there is no method {other:?}; there is reset") }),
            ),
        };
        Ok(hub.respond(call, status, &body).await?)
    }

    async fn send(&mut self, hub: &Hub) -> anyhow::Result<()> {
        let chances = [rand::random(), rand::random(), rand::random()];
        let measurement = self.machine.measure(chances, clock::now());
        let payload = serde_json::to_string(&measurement)?;
        let properties = PropertyBag::new()
            .with(system::CONTENT_TYPE, "application/json")
            .with(system::CONTENT_ENCODING, "utf-8")
            .with(system::OUTPUT_NAME, "temperatureOutput")
            .with("sequenceNumber", self.sent.to_string());
        hub.send_telemetry(payload.clone(), &properties).await?;
        self.sent += 1;
        say(&format!("message {} sent: {payload}", self.sent));
        Ok(())
    }
}

/// Prints one line. Standard output may be closed, and the sensor goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
