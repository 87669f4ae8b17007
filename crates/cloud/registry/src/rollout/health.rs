use std::collections::BTreeMap;
use std::time::Duration;

use ids::Timestamp;
use serde_json::{Map, Value};
use wire::muster_api::rollout::GateDocument;

/// What is known of the agent of an admitted device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentReport {
    /// When it last got something to do: it was admitted, or the agent's desired properties changed.
    pub(crate) since: Timestamp,
    /// Since when it owes an answer; `None` when it was good as it was last looked at.
    pub(crate) unsettled: Option<Timestamp>,
    /// Whether the deployment has been written to the device's twins.
    pub(crate) applied: bool,
    /// Whether another base with a higher priority has the device.
    pub(crate) superseded: bool,
    pub(crate) desired_version: u64,
    pub(crate) desired: Map<String, Value>,
    pub(crate) reported: Map<String, Value>,
    /// How often its modules had been restarted when it was admitted.
    pub(crate) restarts_before: BTreeMap<String, u64>,
}

/// How an admitted device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    Changing,
    Healthy,
    Failed(String),
    /// It runs another deployment with a higher priority, and says nothing of this one.
    Superseded,
}

/// How a device is, by what its agent reported.
pub(crate) fn health(report: &AgentReport, gate: GateDocument, now: Timestamp) -> Health {
    let after = |since: Timestamp, seconds: u32| {
        let period = Duration::from_secs(seconds.into());
        now >= since.plus(period)
    };
    // A change gives a device that was good its time anew, and no other.
    let is_late = after(
        report.unsettled.unwrap_or(report.since),
        gate.device_timeout_seconds,
    );
    let late = || match is_late {
        true => Health::Failed(format!(
            "no success within {} s",
            gate.device_timeout_seconds
        )),
        false => Health::Changing,
    };
    if report.superseded && !report.applied {
        return Health::Superseded;
    }
    // It was good, or had another deployment, and has not got this one again.
    if !report.applied && report.unsettled.is_none() {
        return Health::Changing;
    }
    let version = report.reported.get("lastDesiredVersion");
    if !report.applied || version.and_then(Value::as_u64) != Some(report.desired_version) {
        return late();
    }
    match problem(report, gate) {
        Some(problem) if is_late || after(report.since, gate.grace_seconds) => {
            Health::Failed(problem)
        }
        Some(_) => Health::Changing,
        None if all_run(report) => Health::Healthy,
        None => late(),
    }
}

/// What is to be noted of since when a device owes an answer, where that changes.
pub(crate) fn unsettled(
    report: &AgentReport,
    health: &Health,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    match (health, report.unsettled) {
        (Health::Healthy | Health::Superseded, Some(_)) => Some(None),
        (Health::Changing | Health::Failed(_), None) if !report.applied => Some(Some(now)),
        (Health::Changing | Health::Failed(_), None) => Some(Some(report.since)),
        _ => None,
    }
}

/// What an agent that follows the deployment says is wrong.
fn problem(report: &AgentReport, gate: GateDocument) -> Option<String> {
    let status = report.reported.get("lastDesiredStatus");
    let code = status.and_then(|status| status["code"].as_u64());
    if code != Some(200) {
        let code = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
        let text = status.and_then(|status| status["description"].as_str());
        let text: String = text.unwrap_or_default().chars().take(200).collect();
        return Some(
            format!("the agent reports {code} {text}")
                .trim_end()
                .to_owned(),
        );
    }
    for (name, module) in modules(&report.reported) {
        let state = module["runtimeStatus"].as_str().unwrap_or_default();
        if matches!(state, "failed" | "backoff" | "unhealthy" | "dead") {
            return Some(format!("module {name} is {state}"));
        }
        let count = module["restartCount"].as_u64().unwrap_or_default();
        let before = report.restarts_before.get(name).copied();
        // A container that was made anew counts from 0.
        let restarts = count
            .checked_sub(before.unwrap_or_default())
            .unwrap_or(count);
        if restarts > u64::from(gate.max_restarts) {
            return Some(format!("module {name} was restarted {restarts} times"));
        }
    }
    None
}

/// Whether each module that is to run does, or has done what it is for.
fn all_run(report: &AgentReport) -> bool {
    let wanted = report.desired.get("modules").and_then(Value::as_object);
    let mut wanted = wanted.into_iter().flatten();
    wanted.all(|(name, module)| {
        let stopped = module["status"].as_str() == Some("stopped");
        let reported = report.reported.get("modules").map(|all| &all[name]);
        let state = reported.and_then(|module| module["runtimeStatus"].as_str());
        stopped || state == Some("running") || reported.is_some_and(|found| ended(module, found))
    })
}

/// Whether a module ended well and is not to be started again.
fn ended(wanted: &Value, reported: &Value) -> bool {
    let policy = wanted["restartPolicy"].as_str();
    matches!(policy, Some("never" | "on-failure" | "on-unhealthy"))
        && reported["runtimeStatus"].as_str() == Some("stopped")
        && reported["exitCode"].as_i64() == Some(0)
}

fn modules(reported: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let sections = ["systemModules", "modules"].into_iter();
    sections
        .filter_map(|section| reported.get(section)?.as_object())
        .flatten()
}

/// How often each module has been restarted.
pub(crate) fn restarts(reported: &Map<String, Value>) -> BTreeMap<String, u64> {
    let count = |(name, module): (&String, &Value)| {
        let count = module["restartCount"].as_u64()?;
        Some((name.clone(), count))
    };
    modules(reported).filter_map(count).collect()
}
