//! `muster hub job`: twin updates and direct methods on many devices.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::argument::object;
use crate::cli::exact::require_exact;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// Verbs of `muster hub job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Create a job: a twin update or a direct method on the devices that match.
    #[command(after_help = "Examples:\n  \
            muster hub job create --job-id class-a --job-type scheduleUpdateTwin -q \
            \"tags.site = 'north'\" --twin-patch '{\"tags\":{\"class\":\"A\"}}' --wait --data-dir \
            ./data\n  \
            muster hub job create --job-id reboot --job-type scheduleDeviceMethod -q '*' \
            --method-name reboot --start 2027-01-01T02:00:00Z --data-dir ./data")]
    Create(Box<Create>),
    /// Show a job and how its devices are.
    #[command(after_help = "Example:\n  muster hub job show --job-id class-a --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "jid")]
        job_id: String,
    },
    /// List jobs: updates and methods, then imports and exports, the oldest first.
    #[command(after_help = "Example:\n  \
            muster hub job list --job-status running --data-dir ./data --output table")]
    List {
        /// scheduleUpdateTwin, scheduleDeviceMethod, import or export.
        #[arg(long, visible_alias = "jt")]
        job_type: Option<String>,
        /// scheduled, queued (enqueued), running, completed, failed or cancelled.
        #[arg(long, visible_alias = "js")]
        job_status: Option<String>,
        /// At most this many jobs.
        #[arg(long, default_value_t = 1000)]
        top: usize,
    },
    /// Cancel a job; devices whose turn has not come are left as they are.
    #[command(after_help = "Example:\n  muster hub job cancel --job-id class-a --data-dir ./data")]
    Cancel {
        #[arg(long, visible_alias = "jid")]
        job_id: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Create {
    #[arg(long, visible_alias = "jid")]
    job_id: String,
    /// scheduleUpdateTwin or scheduleDeviceMethod.
    #[arg(long, visible_alias = "jt")]
    job_type: String,
    /// `*`, a condition of devices, or `FROM devices.modules WHERE …`.
    #[arg(long, short = 'q', visible_alias = "query")]
    query_condition: String,
    /// Tags and desired properties to merge, as JSON or a file with it.
    #[arg(long, visible_alias = "patch")]
    twin_patch: Option<String>,
    #[arg(long, visible_alias = "mn")]
    method_name: Option<String>,
    /// The method's payload, as JSON.
    #[arg(long, visible_alias = "mp", default_value = "null")]
    method_payload: String,
    /// Seconds that a device may take to connect.
    #[arg(long, visible_alias = "mct", default_value_t = 0)]
    method_connect_timeout: u32,
    /// Seconds that a device may take to answer.
    #[arg(long, visible_alias = "mrt", default_value_t = 30)]
    method_response_timeout: u32,
    /// When it begins, ISO 8601 in UTC [default: now].
    #[arg(long, visible_alias = "start")]
    start_time: Option<String>,
    /// Seconds that the job may take.
    #[arg(long, default_value_t = 3600)]
    ttl: u32,
    /// Wait until the job has ended.
    #[arg(long)]
    wait: bool,
    /// Seconds between two looks while waiting.
    #[arg(long, visible_alias = "interval", default_value_t = 10)]
    poll_interval: u32,
    /// Seconds to wait at most.
    #[arg(long, visible_alias = "duration", default_value_t = 600)]
    poll_duration: u32,
}

const COLUMNS: &[Column] = &[
    ("JobId", "/jobId"),
    ("Type", "/type"),
    ("Status", "/status"),
    ("Devices", "/deviceJobStatistics/deviceCount"),
    ("Succeeded", "/deviceJobStatistics/succeededCount"),
    ("Failed", "/deviceJobStatistics/failedCount"),
    ("Progress", "/progress"),
    ("Start", "/startTime"),
    ("End", "/endTime"),
];

pub async fn run(command: JobCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        JobCommand::Create(flags) => create(*flags, &client).await?,
        JobCommand::Show { job_id } => show(&job_id, &client).await?,
        JobCommand::List {
            job_type,
            job_status,
            top,
        } => list((job_type, job_status), top, &client).await?,
        JobCommand::Cancel { job_id } => cancel(&job_id, &client).await?,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// Imports and exports have a path of their own.
async fn show(id: &str, client: &ServiceClient) -> Result<Value, CommandError> {
    let path = ["jobs", "v2", id];
    match client.call(Call::new(Method::GET, &path)).await {
        Err(CommandError::Refused { status: 404, .. }) => {
            client.call(Call::new(Method::GET, &["jobs", id])).await
        }
        answer => answer,
    }
}

async fn cancel(id: &str, client: &ServiceClient) -> Result<Value, CommandError> {
    let path = ["jobs", "v2", id, "cancel"];
    match client.call(Call::new(Method::POST, &path)).await {
        Err(CommandError::Refused { status: 404, .. }) => {
            client
                .call(Call::new(Method::DELETE, &["jobs", id]))
                .await?;
            show(id, client).await
        }
        answer => answer,
    }
}

async fn list(
    (job_type, job_status): (Option<String>, Option<String>),
    top: usize,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let query = [("jobType", &job_type), ("jobStatus", &job_status)];
    let given = query.into_iter();
    let query: Vec<_> = given
        .filter_map(|(name, text)| Some((name, text.clone()?)))
        .collect();
    let path = ["jobs", "v2", "query"];
    let mut jobs = client.list_with_query(&path, &query, top).await?;
    let others = client.call(Call::new(Method::GET, &["jobs"])).await?;
    let is = |job: &Value, member: &str, wanted: &Option<String>| {
        let text = job[member].as_str().unwrap_or_default();
        let wanted = wanted.as_deref();
        wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(text))
    };
    let others = others.as_array().cloned().unwrap_or_default().into_iter();
    let others = others.filter(|job| is(job, "type", &job_type) && is(job, "status", &job_status));
    jobs.extend(others);
    jobs.truncate(top);
    Ok(jobs.into())
}

async fn create(flags: Create, client: &ServiceClient) -> anyhow::Result<Value> {
    let path = ["jobs", "v2", &flags.job_id];
    let body = body(&flags)?;
    let call = Call::new(Method::PUT, &path).body(&body);
    let mut job = client.call(call).await?;
    if !flags.wait {
        return Ok(job);
    }
    let interval = flags.poll_interval.max(1);
    for _ in 0..flags.poll_duration.div_ceil(interval) {
        if job["endTime"].is_string() {
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_secs(interval.into())).await;
        job = show(&flags.job_id, client).await?;
    }
    Ok(job)
}

/// The job as `az` sends it.
fn body(flags: &Create) -> anyhow::Result<Value> {
    let mut body = Map::from_iter([
        ("jobId".to_owned(), json!(flags.job_id)),
        ("type".to_owned(), json!(flags.job_type)),
        ("queryCondition".to_owned(), json!(flags.query_condition)),
        ("maxExecutionTimeInSeconds".to_owned(), json!(flags.ttl)),
    ]);
    if let Some(start) = &flags.start_time {
        body.insert("startTime".to_owned(), json!(start));
    }
    if let Some(mut patch) = object("--twin-patch", flags.twin_patch.clone())? {
        patch.entry("etag").or_insert_with(|| json!("*"));
        body.insert("updateTwin".to_owned(), patch.into());
    }
    if let Some(name) = &flags.method_name {
        require_exact("--method-payload", &flags.method_payload)?;
        let payload: Value = serde_json::from_str(&flags.method_payload)
            .map_err(|e| CommandError::Usage(format!("--method-payload must be JSON: {e}")))?;
        let method = json!({"methodName": name, "payload": payload,
            "connectTimeoutInSeconds": flags.method_connect_timeout,
            "responseTimeoutInSeconds": flags.method_response_timeout});
        body.insert("cloudToDeviceMethod".to_owned(), method);
    }
    Ok(body.into())
}
