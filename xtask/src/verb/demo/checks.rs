//! `--exit`: the demo's claims, each looked up again from outside and printed as one line.

use std::time::Duration;

use serde_json::Value;

use crate::console::say;
use crate::image::SENSOR_IMAGE;
use crate::interrupt::Interrupt;
use crate::wait::{Probe, until};

use super::device::{EdgeDevice, status};
use super::operator::Operator;
use super::view::tally;
use super::{DEPLOYMENT, GROUP, INDIVIDUAL, MODULE};

/// What a device reports travels behind what it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs and counts the checks.
pub(crate) struct Checks<'a> {
    operator: &'a Operator,
    interrupt: &'a Interrupt,
    failed: usize,
}

impl<'a> Checks<'a> {
    pub(crate) fn new(operator: &'a Operator, interrupt: &'a Interrupt) -> Self {
        Self {
            operator,
            interrupt,
            failed: 0,
        }
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Identity, tag, module, report and log of one edge device.
    pub(crate) fn edge_device(&mut self, device: &EdgeDevice) -> anyhow::Result<()> {
        let name = device.name();
        let operator = self.operator;
        let of_device = [("-d", name)];
        self.holds(
            &format!("{name} is a hub device with the edge capability"),
            || {
                let identity = operator.json("hub device-identity show", &of_device)?;
                expect(&identity, "/capabilities/iotEdge", &Value::Bool(true))
            },
        )?;
        self.holds(&format!("{name}'s twin carries environment=test"), || {
            let twin = operator.json("hub device-twin show", &of_device)?;
            expect(&twin, "/tags/environment", &Value::from("test"))
        })?;
        self.holds(&format!("{name} runs {MODULE} from our image"), || {
            let entry = device.module(MODULE)?.unwrap_or(Value::Null);
            let running = status(&entry) == Some("running");
            let ours = entry.to_string().contains(SENSOR_IMAGE);
            Ok(said(running && ours, &entry))
        })?;
        self.holds(&format!("{name}'s {MODULE} logs temperatures"), || {
            let log = device.owner(&["logs", MODULE])?;
            Ok(said(log.contains("temperature"), &Value::from(log)))
        })?;
        self.reports(name)
    }

    /// What the device and its module tell the hub about themselves.
    fn reports(&mut self, name: &str) -> anyhow::Result<()> {
        let operator = self.operator;
        self.holds(&format!("{name} reports {MODULE} as running"), || {
            let agent = [("-d", name), ("-m", "$edgeAgent")];
            let twin = operator.json("hub module-twin show", &agent)?;
            let path = format!("/properties/reported/modules/{MODULE}/runtimeStatus");
            expect(&twin, &path, &Value::from("running"))
        })?;
        self.holds(
            &format!("{name}'s {MODULE} follows its module twin"),
            || {
                let twin =
                    operator.json("hub module-twin show", &[("-d", name), ("-m", MODULE)])?;
                expect(&twin, "/properties/reported/SendInterval", &Value::from(5))
            },
        )
    }

    pub(crate) fn individual(&mut self) -> anyhow::Result<()> {
        let operator = self.operator;
        for (field, wanted) in [("status", "assigned"), ("deviceId", INDIVIDUAL)] {
            self.holds(
                &format!("the individual enrollment's record has {field} {wanted}"),
                || {
                    let record = operator.json(
                        "dps enrollment registration show",
                        &[("--enrollment-id", INDIVIDUAL)],
                    )?;
                    expect(&record, &format!("/{field}"), &Value::from(wanted))
                },
            )?;
        }
        Ok(())
    }

    /// The deployment's own figures: every device of the enrollments has the
    /// tag, and the real ones report.
    pub(crate) fn deployment(&mut self, edge: usize, simulated: u32) -> anyhow::Result<()> {
        let operator = self.operator;
        let tagged = edge + usize::try_from(simulated)?;
        for (metric, wanted) in [
            ("targetedCount", tagged),
            ("appliedCount", tagged),
            ("reportedSuccessfulCount", edge),
        ] {
            self.holds(&format!("the deployment's {metric} is {wanted}"), || {
                let found =
                    operator.json("edge deployment show", &[("--deployment-id", DEPLOYMENT)])?;
                let path = format!("/systemMetrics/results/{metric}");
                expect(&found, &path, &Value::from(wanted))
            })?;
        }
        Ok(())
    }

    /// The group's records: its edge devices and the simulated ones.
    pub(crate) fn fleet(&mut self, edge: usize, simulated: u32) -> anyhow::Result<()> {
        let operator = self.operator;
        let wanted = edge + usize::try_from(simulated)?;
        self.holds(
            &format!("{wanted} devices of the group are assigned"),
            || {
                let group = [("--enrollment-id", GROUP)];
                let records = operator.json("dps enrollment-group registration list", &group)?;
                let counts = tally(&records);
                let all = counts.get("assigned") == Some(&wanted) && counts.len() == 1;
                Ok(said(all, &serde_json::json!(counts)))
            },
        )
    }

    /// Asks until it holds or patience ends; prints the outcome either way.
    fn holds(
        &mut self,
        what: &str,
        mut probe: impl FnMut() -> anyhow::Result<Probe<()>>,
    ) -> anyhow::Result<()> {
        let patient = || Ok(probe().unwrap_or_else(|error| Probe::NotYet(format!("{error:#}"))));
        match until("it", PATIENCE, self.interrupt, patient) {
            Ok(()) => say(format!("ok    {what}")),
            Err(error) => {
                self.interrupt.or_go_on()?;
                self.failed += 1;
                say(format!("FAIL  {what}: {error:#}"));
            }
        }
        Ok(())
    }
}

fn expect(document: &Value, pointer: &str, wanted: &Value) -> anyhow::Result<Probe<()>> {
    let found = document.pointer(pointer).unwrap_or(&Value::Null);
    Ok(match found == wanted {
        true => Probe::Yes(()),
        false => Probe::NotYet(format!("{pointer} is {found}, not {wanted}")),
    })
}

fn said(holds: bool, seen: &Value) -> Probe<()> {
    if holds {
        return Probe::Yes(());
    }
    let mut text = seen.to_string();
    text.truncate(
        text.char_indices()
            .nth(400)
            .map_or(text.len(), |(at, _)| at),
    );
    Probe::NotYet(text)
}
