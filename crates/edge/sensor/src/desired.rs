//! Settings from desired properties.

use std::time::Duration;

use serde_json::{Map, Value, json};

const INTERVAL: &str = "SendInterval";
const SEND: &str = "SendData";

/// The settings that operators change by desired properties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    /// The seconds between two messages.
    interval: f64,
    /// Whether messages are sent at all.
    pub(crate) send: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: 5.0,
            send: true,
        }
    }
}

impl Settings {
    /// The accepted seconds between two messages: a tenth of a second to a day.
    const INTERVALS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

    /// The time between two messages.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs_f64(self.interval)
    }

    /// Applies a change of desired properties. A removed property gets its default. Returns the
    /// unusable values, which change nothing.
    pub(crate) fn apply(&mut self, change: &Map<String, Value>) -> Vec<String> {
        let mut refused = Vec::new();
        match change.get(INTERVAL) {
            None => {}
            Some(Value::Null) => self.interval = Self::default().interval,
            Some(value) => match value
                .as_f64()
                .filter(|seconds| Self::INTERVALS.contains(seconds))
            {
                Some(seconds) => self.interval = seconds,
                None => refused.push(format!(
                    "{INTERVAL} {value} is not a number of seconds from 0.1 to 86400"
                )),
            },
        }
        match change.get(SEND) {
            None => {}
            Some(Value::Null) => self.send = Self::default().send,
            Some(Value::Bool(send)) => self.send = *send,
            Some(value) => refused.push(format!("{SEND} {value} is neither true nor false")),
        }
        refused
    }

    /// The current settings, as reported properties.
    pub(crate) fn report(&self) -> Value {
        // Whole seconds are reported as integers.
        #[expect(clippy::cast_possible_truncation, reason = "at most a day of seconds")]
        let interval = match self.interval.fract() == 0.0 {
            true => json!(self.interval as i64),
            false => json!(self.interval),
        };
        json!({ INTERVAL: interval, SEND: self.send })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(change: Value) -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        let refused = settings.apply(change.as_object().unwrap());
        (settings, refused)
    }

    #[test]
    fn a_change_takes_effect_and_is_reported() {
        let (settings, refused) =
            applied(json!({"SendInterval": 2, "SendData": false, "other": 1}));
        assert!(refused.is_empty());
        assert_eq!(settings.interval(), Duration::from_secs(2));
        assert_eq!(
            settings.report(),
            json!({"SendInterval": 2, "SendData": false})
        );
        assert_eq!(
            applied(json!({"SendInterval": 0.5})).0.report()["SendInterval"],
            json!(0.5)
        );
    }

    #[test]
    fn what_is_removed_gets_its_default() {
        let (mut settings, _) = applied(json!({"SendInterval": 2, "SendData": false}));
        settings.apply(
            json!({"SendInterval": null, "SendData": null})
                .as_object()
                .unwrap(),
        );
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn unusable_values_change_nothing() {
        for change in [
            json!({"SendInterval": 0}),
            json!({"SendInterval": "5"}),
            json!({"SendInterval": 1e9}),
            json!({"SendData": 1}),
        ] {
            let (settings, refused) = applied(change);
            assert_eq!((settings, refused.len()), (Settings::default(), 1));
        }
    }
}
