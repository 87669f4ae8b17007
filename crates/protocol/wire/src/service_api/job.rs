//! Jobs: twin updates and direct methods on many devices (`/jobs/v2`).

use ids::{Etag, JobId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::method::{MethodRequest, member_text};
use crate::lenient::{self, BodyError, Fields};
use crate::twin::TwinChange;

/// `maxExecutionTimeInSeconds` when none is given.
const USUAL_LIFETIME: u32 = 3600;
/// The longest that is taken: as long as jobs are kept.
const MAX_LIFETIME: u32 = 30 * 24 * 3600;

/// `type` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum JobType {
    /// A direct method on many devices.
    ScheduleDeviceMethod,
    /// A twin update on many devices.
    ScheduleUpdateTwin,
    /// `devices.txt` becomes devices.
    Import,
    /// Devices become `devices.txt`.
    Export,
}

impl JobType {
    /// Reads a name in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            (Self::ScheduleDeviceMethod, "scheduleDeviceMethod"),
            (Self::ScheduleUpdateTwin, "scheduleUpdateTwin"),
            (Self::Import, "import"),
            (Self::Export, "export"),
        ];
        let mut all = all.into_iter();
        let found = all.find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.map(|(kind, _)| kind)
    }
}

/// `status` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum JobStatus {
    /// Its start is to come.
    Scheduled,
    /// It is due, and others go first.
    Queued,
    /// Its devices are looked for, or worked on.
    Running,
    /// Every device has an outcome.
    Completed,
    /// It could not go on.
    Failed,
    /// An operator ended it.
    Cancelled,
}

impl JobStatus {
    /// Reads a name in any letter case; `enqueued` is another word for `queued`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "scheduled" => Some(Self::Scheduled),
            "queued" | "enqueued" => Some(Self::Queued),
            "running" => Some(Self::Running),
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            "cancelled" | "canceled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// What a job does to each device.
#[derive(Debug, Clone, PartialEq)]
pub enum JobWork {
    /// `cloudToDeviceMethod`.
    Method(MethodRequest),
    /// `updateTwin`, with its `etag`; `*` and absent are any version.
    Twin(TwinChange, Option<Etag>),
}

impl JobWork {
    /// Reads `cloudToDeviceMethod` or `updateTwin`, as JSON text.
    ///
    /// # Errors
    /// When it is not such an object.
    pub fn parse(kind: JobType, text: &str) -> Result<Self, BodyError> {
        if kind == JobType::ScheduleDeviceMethod {
            return Ok(Self::Method(MethodRequest::parse(text.as_bytes())?));
        }
        let body = lenient::parse_exactly(text.as_bytes())?;
        let fields = Fields::of_body(&body)?;
        let etag = fields.text("etag")?.map(|etag| etag.trim_matches('"'));
        let etag = etag.filter(|etag| !etag.is_empty() && *etag != "*");
        let etag = etag
            .map(Etag::parse)
            .transpose()
            .map_err(|error| fields.error("etag", error.to_string()))?;
        let change = TwinChange::parse(&body)?;
        if change == TwinChange::default() {
            let problem = "tags or properties.desired were expected";
            return Err(BodyError::new("", problem));
        }
        Ok(Self::Twin(change, etag))
    }
}

/// `PUT /jobs/v2/{id}`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// `jobId` of the body.
    pub job_id: Option<JobId>,
    /// `scheduleDeviceMethod` or `scheduleUpdateTwin`.
    pub kind: JobType,
    /// What is done to each device.
    pub work: JobWork,
    /// The same as JSON text, with the digits that were sent.
    pub work_text: String,
    /// `queryCondition`.
    pub condition: String,
    /// `startTime`; absent is at once.
    pub start: Option<Timestamp>,
    /// `maxExecutionTimeInSeconds`, 1 s to 30 days; an hour when absent.
    pub lifetime: u32,
}

impl JobRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When a member is absent, or not what it should be; says which.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let value = lenient::parse(body)?;
        let fields = Fields::of_body(&value)?;
        let given = fields.text("type")?.unwrap_or_default();
        let (kind, member) = match JobType::parse(given) {
            Some(kind @ JobType::ScheduleDeviceMethod) => (kind, "cloudToDeviceMethod"),
            Some(kind @ JobType::ScheduleUpdateTwin) => (kind, "updateTwin"),
            _ => {
                let problem = "scheduleDeviceMethod or scheduleUpdateTwin was expected";
                return Err(fields.error("type", problem));
            }
        };
        let present = fields.object(member)?;
        let text = present.and_then(|_| member_text(member, body));
        let work_text = text.ok_or_else(|| fields.error(member, "it is required"))?;
        let work = JobWork::parse(kind, &work_text).map_err(|error| {
            let path = [member, &error.path].join(".");
            BodyError::new(path.trim_end_matches('.'), error.problem)
        })?;
        let id = fields.text("jobId")?.filter(|id| !id.is_empty());
        let id = id.map(JobId::parse).transpose();
        Ok(Self {
            job_id: id.map_err(|error| fields.error("jobId", error.to_string()))?,
            kind,
            work,
            work_text,
            condition: fields
                .text("queryCondition")?
                .unwrap_or_default()
                .to_owned(),
            start: start(&fields)?,
            lifetime: lifetime(&fields)?,
        })
    }
}

/// Some clients write UTC without `Z`.
fn start(fields: &Fields<'_>) -> Result<Option<Timestamp>, BodyError> {
    let Some(text) = fields.text("startTime")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let read = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
    read.map(Some)
        .map_err(|error| fields.error("startTime", error.to_string()))
}

fn lifetime(fields: &Fields<'_>) -> Result<u32, BodyError> {
    const NAME: &str = "maxExecutionTimeInSeconds";
    match fields.whole(NAME)? {
        // The .NET SDK sends 0 for none.
        None | Some(0) => Ok(USUAL_LIFETIME),
        Some(given) => u32::try_from(given)
            .ok()
            .filter(|seconds| (1..=MAX_LIFETIME).contains(seconds))
            .ok_or_else(|| {
                let problem = format!("{given} is outside 1 to {MAX_LIFETIME} seconds");
                fields.error(NAME, problem)
            }),
    }
}

/// `deviceJobStatistics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatistics {
    /// All that were selected.
    pub device_count: u64,
    /// Those with an error.
    pub failed_count: u64,
    /// Those that were updated, or answered.
    pub succeeded_count: u64,
    /// Those that were called.
    pub running_count: u64,
    /// Those that nothing was done to.
    pub pending_count: u64,
}

/// A job as `/jobs/v2` answers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResponse {
    /// The job.
    pub job_id: JobId,
    /// `queryCondition` as it was sent.
    pub query_condition: String,
    /// When it was created.
    pub created_time: Timestamp,
    /// When it may begin.
    pub start_time: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Seconds that it may take.
    pub max_execution_time_in_seconds: u32,
    /// What kind of job it is.
    #[serde(rename = "type")]
    pub kind: JobType,
    /// As it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_to_device_method: Option<Box<RawValue>>,
    /// As it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_twin: Option<Box<RawValue>>,
    /// How far it is.
    pub status: JobStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// How its devices are.
    pub device_job_statistics: JobStatistics,
}

#[cfg(test)]
mod tests;
