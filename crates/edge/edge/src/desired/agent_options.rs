//! The variables of the agent: `[agent.env]` of `config.toml`, and `edgeAgent.env` of a deployment,
//! which comes first. Pure.

mod variables;

use std::collections::BTreeMap;
use std::time::Duration;

use device::Proxies;

use crate::plan::restart_policy::RestartLimits;
pub use variables::note_about;

/// The shortest time between two readings of the whole twin.
const SHORTEST_REFRESH: Duration = Duration::from_secs(10);
/// The port of `edgeAgent`'s metrics in Azure.
const METRICS_PORT: u16 = 9600;
/// Azure's agent listens on all addresses of its container. This one is a program of the machine.
const METRICS_HOST: &str = "127.0.0.1";

/// A name and a value.
pub type Variable = (String, String);

/// What the variables of the agent ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOptions {
    pub limits: RestartLimits,
    /// How the device reaches its services.
    pub proxies: Proxies,
    /// `ConfigRefreshFrequencySecs`: how often the whole twin is read, in case a change was missed.
    pub refresh: Duration,
    /// `ModuleUpdateMode`: whether all images are pulled before any module is touched.
    pub pull_first: bool,
    /// `UpstreamProtocol`: whether the hub is reached over WebSocket on port 443.
    pub websocket: bool,
    /// Host and port that metrics are served on; `None` unless they are asked for.
    pub metrics: Option<(String, u16)>,
    /// Variables that modules get too, unless they have their own.
    pub for_modules: Vec<Variable>,
    /// Variables without effect, or with a value that cannot be used.
    pub notes: Vec<String>,
}

impl Default for AgentOptions {
    /// Without variables.
    fn default() -> Self {
        Self::read(&[], None)
    }
}

impl AgentOptions {
    /// Reads the variables of the configuration, and those of the deployment, if there is one.
    #[must_use]
    pub fn read(config: &[Variable], deployment: Option<&BTreeMap<String, String>>) -> Self {
        let mut reader = Reader::default();
        let local = config.iter().map(|(name, value)| (name, value));
        for (name, value) in local.chain(deployment.into_iter().flatten()) {
            let key = name.to_ascii_lowercase();
            reader.values.insert(key, (name.clone(), value.clone()));
        }
        for name in deployment.into_iter().flatten().map(|(name, _)| name) {
            reader.notes.extend(note_about(name));
        }
        reader.options()
    }
}

#[derive(Default)]
struct Reader {
    /// By name in lower case, with the name as it was written.
    values: BTreeMap<String, Variable>,
    notes: Vec<String>,
}

impl Reader {
    fn options(mut self) -> AgentOptions {
        let usual = RestartLimits::default();
        let first_pause = self.number("CoolOffTimeUnitInSeconds", 300);
        let most = self.number("MaxRestartCount", u64::from(u32::MAX));
        let minutes = self.number("IntensiveCareTimeInMinutes", 365 * 24 * 60);
        let limits = RestartLimits {
            first_pause: first_pause.map_or(usual.first_pause, Duration::from_secs),
            most: most
                .and_then(|most| u32::try_from(most).ok())
                .unwrap_or(usual.most),
            recovered_after: minutes.map_or(usual.recovered_after, |minutes| {
                Duration::from_secs(minutes * 60)
            }),
        };
        let refresh = self.number("ConfigRefreshFrequencySecs", 365 * 24 * 3600);
        let refresh = refresh.map_or(Duration::from_secs(3600), Duration::from_secs);
        AgentOptions {
            limits,
            proxies: self.proxies(),
            refresh: refresh.max(SHORTEST_REFRESH),
            pull_first: self.one_of("ModuleUpdateMode", &["NonBlocking", "WaitForAllPulls"])
                == Some(1),
            websocket: self
                .one_of("UpstreamProtocol", &["Mqtt", "Amqp", "MqttWs", "AmqpWs"])
                .is_some_and(|index| index >= 2),
            metrics: self.metrics(),
            for_modules: self.for_modules(),
            notes: self.notes,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.get(&name.to_ascii_lowercase())?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| *number <= most);
        if number.is_none() {
            let note = format!("{name}: {text:?} is not a whole number from 0 to {most}");
            self.notes.push(note);
        }
        number
    }

    /// The index of the word that is given.
    fn one_of(&mut self, name: &str, words: &[&str]) -> Option<usize> {
        let text = self.text(name)?;
        let found = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(text));
        if found.is_none() {
            let note = format!("{name}: {text:?} is not one of {}", words.join(", "));
            self.notes.push(note);
        }
        found
    }

    fn proxies(&mut self) -> Proxies {
        let parsed = Proxies::parse(self.text("https_proxy"), self.text("no_proxy"));
        parsed.unwrap_or_else(|error| {
            self.notes
                .push(format!("https_proxy has no effect: {error}"));
            Proxies::default()
        })
    }

    fn metrics(&mut self) -> Option<(String, u16)> {
        if self.one_of("MetricsEnabled", &["false", "true"]) != Some(1) {
            return None;
        }
        let port = self.number("port", u64::from(u16::MAX));
        let port = port.and_then(|port| u16::try_from(port).ok());
        let host = match self.text("host") {
            None => METRICS_HOST,
            Some("*" | "+") => "0.0.0.0",
            Some(host) => host,
        };
        Some((host.to_owned(), port.unwrap_or(METRICS_PORT)))
    }

    /// Proxies are given in both letter cases: some programs read one, and some the other.
    fn for_modules(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        for name in ["RuntimeLogLevel", "UpstreamProtocol"] {
            found.extend(self.values.get(&name.to_ascii_lowercase()).cloned());
        }
        for name in variables::PROXIES {
            if let Some((_, value)) = self.values.get(name) {
                found.push((name.to_owned(), value.clone()));
                found.push((name.to_ascii_uppercase(), value.clone()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
