//! What the operator sees at the end: registration states, twins, modules, timings.

use crate::console::{heading, say, spell};

use super::device::EdgeDevice;
use super::operator::Operator;
use super::{DEPLOYMENT, GROUP, INDIVIDUAL, Stopwatch};

pub(crate) fn show(
    operator: &Operator,
    devices: &[EdgeDevice],
    clock: &Stopwatch,
) -> anyhow::Result<()> {
    heading("The operator's view");
    operator.print_and_run_on_server(
        "dps enrollment registration show --output table",
        &[("--enrollment-id", INDIVIDUAL)],
    )?;
    let records = operator.json(
        "dps enrollment-group registration list",
        &[("--enrollment-id", GROUP)],
    )?;
    for (status, count) in tally(&records) {
        say(format!("group {GROUP}: {count} registrations are {status}"));
    }
    operator.print_and_run_on_server("hub device-twin show", &[("-d", INDIVIDUAL)])?;
    operator.print_and_run_on_server(
        "edge deployment show --output table",
        &[("--deployment-id", DEPLOYMENT)],
    )?;
    for device in devices {
        say(format!("\n{}$ iotedge list", device.name()));
        say(device.owner(&["list"])?.trim_end());
    }
    heading("Timings");
    for (what, took) in &clock.laps {
        say(format!("{:>12}  {what}", spell(*took)));
    }
    Ok(())
}

/// How many records have which status, in order of the status' name.
pub(crate) fn tally(records: &serde_json::Value) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for record in records.as_array().map(Vec::as_slice).unwrap_or_default() {
        let status = record["status"].as_str().unwrap_or("unknown");
        *counts.entry(status.to_owned()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_status() {
        let records = serde_json::json!([
            { "status": "assigned" }, { "status": "assigned" }, { "status": "failed" }
        ]);
        let counts: Vec<_> = tally(&records).into_iter().collect();
        assert_eq!(
            counts,
            [("assigned".to_owned(), 2), ("failed".to_owned(), 1)]
        );
    }
}
