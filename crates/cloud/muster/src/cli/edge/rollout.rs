//! `muster edge rollout`: staged rollouts of deployments.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::configurations::configuration_id;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service, ServiceClient};

/// Verbs of `muster edge rollout`.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Start a rollout of a deployment that applies nowhere yet. A deployment of a lower priority
    /// must be there for devices to go back to.
    #[command(after_help = "Example:\n  \
            muster edge deployment create -d new -k deployment.json --priority 20 --data-dir \
            ./data\n  \
            muster edge rollout start -d new --target-condition '*' --ring \"tags.ring='canary'\" \
            \\\n    --ring 10% --ring 100% --soak 3600 --max-in-change 50 --data-dir ./data")]
    Start(Start),
    /// Show the rollout of a deployment: where it is, and how many devices are in which state.
    #[command(after_help = "Example:\n  muster edge rollout show -d new --data-dir ./data")]
    Show(Name),
    /// Let no more devices get the deployment. Failures still take the rollout back.
    #[command(after_help = "Example:\n  muster edge rollout pause -d new --data-dir ./data")]
    Pause(Name),
    /// Go on with a rollout that is paused.
    #[command(after_help = "Example:\n  muster edge rollout resume -d new --data-dir ./data")]
    Resume(Name),
    /// End a rollout: its devices go back to the deployment before.
    #[command(after_help = "Example:\n  muster edge rollout abort -d new --data-dir ./data")]
    Abort(Name),
    /// Print what happened in the rollouts of the hub, the latest rollout first.
    #[command(
        after_help = "Example:\n  muster edge rollout history --data-dir ./data --output table"
    )]
    History {
        /// Of this deployment only.
        #[arg(long, short = 'd', value_parser = configuration_id)]
        deployment_id: Option<String>,
    },
}

/// The deployment of a rollout.
#[derive(Debug, clap::Args)]
pub struct Name {
    #[arg(long, short = 'd', value_parser = configuration_id)]
    deployment_id: String,
}

/// What a rollout is started with.
#[derive(Debug, clap::Args)]
pub struct Start {
    #[command(flatten)]
    name: Name,
    /// What the deployment targets from now on; without it, its condition stays.
    #[arg(long, short = 't', visible_alias = "tc")]
    target_condition: Option<String>,
    /// A stage, in order: a share of all devices (10%) or a target condition. The last is 100%.
    #[arg(long = "ring", required = true, value_parser = ring)]
    rings: Vec<Value>,
    /// Seconds that all devices of a ring stay good before the next ring opens.
    #[arg(long)]
    soak: Option<u32>,
    /// Seconds after which a device without success counts as failed.
    #[arg(long)]
    device_timeout: Option<u32>,
    /// Seconds that a device that reports a failure has to recover.
    #[arg(long)]
    grace: Option<u32>,
    /// When more of a hundred devices have failed, the rollout goes back.
    #[arg(long)]
    max_failed_percent: Option<u8>,
    /// A module that is restarted more often counts as failed.
    #[arg(long)]
    max_restarts: Option<u32>,
    /// Most devices that may be changing at the same time.
    #[arg(long)]
    max_in_change: Option<u32>,
}

const COLUMNS: &[Column] = &[
    ("Deployment", "/configurationId"),
    ("State", "/state"),
    ("Ring", "/ring"),
    ("Waiting", "/counts/waiting"),
    ("Changing", "/counts/changing"),
    ("Healthy", "/counts/healthy"),
    ("Failed", "/counts/failed"),
    ("Reason", "/reason"),
];

const EVENT_COLUMNS: &[Column] = &[
    ("At", "/at"),
    ("Deployment", "/configurationId"),
    ("Event", "/event"),
];

const ROLLOUTS: [&str; 4] = ["muster", "v1", "hub", "rollouts"];

pub async fn run(command: RolloutCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        RolloutCommand::Start(flags) => {
            let body = request(&flags);
            client
                .call(Call::new(Method::POST, &ROLLOUTS).body(&body))
                .await?
        }
        RolloutCommand::Show(name) => {
            let [a, b, c, d] = ROLLOUTS;
            let path = [a, b, c, d, &name.deployment_id];
            client.call(Call::new(Method::GET, &path)).await?
        }
        RolloutCommand::Pause(name) => change(&client, &name, "pause").await?,
        RolloutCommand::Resume(name) => change(&client, &name, "resume").await?,
        RolloutCommand::Abort(name) => change(&client, &name, "abort").await?,
        RolloutCommand::History { deployment_id } => {
            let rollouts = client.call(Call::new(Method::GET, &ROLLOUTS)).await?;
            let events = events(&rollouts, deployment_id.as_deref());
            return Ok(output::print(
                invocation.output,
                &events.into(),
                EVENT_COLUMNS,
            )?);
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

async fn change(client: &ServiceClient, name: &Name, verb: &str) -> anyhow::Result<Value> {
    let [a, b, c, d] = ROLLOUTS;
    let path = [a, b, c, d, &name.deployment_id, verb];
    Ok(client.call(Call::new(Method::POST, &path)).await?)
}

/// The body that starts a rollout; what is not given is left to the hub.
fn request(flags: &Start) -> Value {
    let mut gate = json!({});
    for (name, given) in [
        ("soakSeconds", flags.soak),
        ("deviceTimeoutSeconds", flags.device_timeout),
        ("graceSeconds", flags.grace),
        ("maxFailedPercent", flags.max_failed_percent.map(u32::from)),
        ("maxRestarts", flags.max_restarts),
    ] {
        if let Some(given) = given {
            gate[name] = given.into();
        }
    }
    let mut body = json!({
        "configurationId": flags.name.deployment_id,
        "rings": flags.rings,
        "gate": gate,
    });
    if let Some(condition) = &flags.target_condition {
        body["targetCondition"] = condition.as_str().into();
    }
    if let Some(most) = flags.max_in_change {
        body["maxInChange"] = most.into();
    }
    body
}

/// `10%` is a share; all else is a condition.
fn ring(text: &str) -> Result<Value, String> {
    let share = text.strip_suffix('%').map(str::trim);
    let Some(share) = share.filter(|share| share.parse::<f64>().is_ok()) else {
        return Ok(json!({"targetCondition": text}));
    };
    match share.parse::<u32>() {
        Ok(percent @ 1..=100) => Ok(json!({"percent": percent})),
        _ => Err("a share is a whole number from 1% to 100%".to_owned()),
    }
}

/// The events of rollouts with their deployment.
fn events(rollouts: &Value, deployment_id: Option<&str>) -> Vec<Value> {
    let mut events = Vec::new();
    for rollout in rollouts.as_array().into_iter().flatten() {
        let id = &rollout["configurationId"];
        if deployment_id.is_some_and(|wanted| id.as_str() != Some(wanted)) {
            continue;
        }
        for event in rollout["history"].as_array().into_iter().flatten() {
            let (at, text) = (&event["at"], &event["event"]);
            events.push(json!({"at": at, "configurationId": id, "event": text}));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_shares_or_conditions() {
        assert_eq!(ring("10%").unwrap(), json!({"percent": 10}));
        for refused in ["0%", "101%", "300%", "-5%", "2.5%", "99999999999%"] {
            assert!(ring(refused).is_err(), "{refused}");
        }
        let condition = "tags.share = '10%'";
        assert_eq!(
            ring(condition).unwrap(),
            json!({"targetCondition": condition})
        );
    }
}
