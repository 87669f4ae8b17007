//! The simulated machine that the sensor measures.

use ids::Timestamp;
use serde::Serialize;

const COLDEST: f64 = 21.0;
const HOTTEST: f64 = 100.0;
const PRESSURE_AT_COLDEST: f64 = 1.0;
const PRESSURE_AT_HOTTEST: f64 = 10.0;

/// A machine that warms up until it is hot, and then varies about that temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Machine {
    /// In degrees Celsius.
    temperature: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measurement {
    machine: MachineState,
    ambient: Ambient,
    time_created: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct MachineState {
    /// In degrees Celsius.
    temperature: f64,
    /// In bar.
    pressure: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Ambient {
    /// In degrees Celsius.
    temperature: f64,
    /// In per cent.
    humidity: f64,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            temperature: COLDEST,
        }
    }

    /// The next measurement. The chances are random numbers from 0 to 1.
    pub(crate) fn measure(&mut self, chances: [f64; 3], now: Timestamp) -> Measurement {
        let [drift, ambient, humidity] = chances;
        self.temperature += match self.temperature > HOTTEST {
            true => drift - 0.5,
            false => drift * 1.5 - 0.25,
        };
        let warmth = (self.temperature - COLDEST) / (HOTTEST - COLDEST);
        let pressure = PRESSURE_AT_COLDEST + warmth * (PRESSURE_AT_HOTTEST - PRESSURE_AT_COLDEST);
        Measurement {
            machine: MachineState {
                temperature: self.temperature,
                pressure,
            },
            ambient: Ambient {
                temperature: COLDEST + ambient - 0.5,
                humidity: (24.0 + humidity * 2.0).round(),
            },
            time_created: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_has_the_tutorials_shape() {
        let mut machine = Machine::new();
        let message = machine.measure([0.5, 0.5, 0.5], Timestamp::from_unix_seconds(0));
        assert_eq!(
            serde_json::to_value(&message).unwrap(),
            json!({
                "machine": {"temperature": 21.5, "pressure": 1.0 + 0.5 / 79.0 * 9.0},
                "ambient": {"temperature": 21.0, "humidity": 25.0},
                "timeCreated": "1970-01-01T00:00:00.0000000Z",
            })
        );
    }

    #[test]
    fn the_machine_warms_up_and_stays_hot() {
        let mut machine = Machine::new();
        for step in 0..1000_u32 {
            let chance = f64::from(step * 7 % 10) / 10.0;
            machine.measure([chance, chance, chance], Timestamp::NEVER);
        }
        assert!((90.0..110.0).contains(&machine.temperature), "{machine:?}");
    }
}
