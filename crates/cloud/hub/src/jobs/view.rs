//! Jobs as the service API answers them.

use ids::Timestamp;
use registry::{JobKind, JobRecord, JobState, TransferCursor};
use serde_json::value::RawValue;
use wire::service_api::job::{JobResponse, JobStatistics, JobStatus, JobType};
use wire::service_api::transfer_job::{TransferResponse, TransferStatus};

pub(crate) fn kind(kind: JobKind) -> JobType {
    match kind {
        JobKind::DeviceMethod => JobType::ScheduleDeviceMethod,
        JobKind::UpdateTwin => JobType::ScheduleUpdateTwin,
        JobKind::Import => JobType::Import,
        JobKind::Export => JobType::Export,
    }
}

pub(crate) fn status(job: &JobRecord, now: Timestamp) -> JobStatus {
    match job.state {
        JobState::Scheduled if job.starts > now => JobStatus::Scheduled,
        JobState::Scheduled => JobStatus::Queued,
        JobState::Selecting | JobState::Working | JobState::Completing => JobStatus::Running,
        JobState::Failing | JobState::Failed => JobStatus::Failed,
        JobState::Cancelling | JobState::Cancelled => JobStatus::Cancelled,
        JobState::Completed => JobStatus::Completed,
    }
}

/// A job of `/jobs/v2`.
pub(crate) fn job(job: JobRecord, now: Timestamp) -> JobResponse {
    let status = status(&job, now);
    let work = RawValue::from_string(job.work).ok();
    let (method, twin) = match job.kind {
        JobKind::DeviceMethod => (work, None),
        _ => (None, work),
    };
    let counts = job.counts;
    let all = counts.pending + counts.running + counts.succeeded + counts.failed;
    JobResponse {
        job_id: job.id,
        query_condition: job.condition,
        created_time: job.created,
        start_time: job.starts,
        end_time: job.ended,
        max_execution_time_in_seconds: job.lifetime,
        kind: kind(job.kind),
        cloud_to_device_method: method,
        update_twin: twin,
        status,
        failure_reason: job.failure,
        device_job_statistics: JobStatistics {
            device_count: all + counts.cancelled,
            failed_count: counts.failed,
            succeeded_count: counts.succeeded,
            running_count: counts.running,
            pending_count: counts.pending,
        },
    }
}

/// A job of `/jobs`.
pub(crate) fn transfer(job: JobRecord) -> TransferResponse {
    let cursor = TransferCursor::parse(&job.cursor).unwrap_or_default();
    TransferResponse {
        status: match job.state {
            JobState::Scheduled => TransferStatus::Enqueued,
            JobState::Selecting | JobState::Working | JobState::Completing => {
                TransferStatus::Running
            }
            JobState::Failing | JobState::Failed => TransferStatus::Failed,
            JobState::Cancelling | JobState::Cancelled => TransferStatus::Cancelled,
            JobState::Completed => TransferStatus::Completed,
        },
        progress: cursor.percent(),
        job_id: job.id,
        start_time_utc: job.created,
        end_time_utc: job.ended,
        failure_reason: job.failure,
        request: serde_json::from_str(&job.work).unwrap_or_default(),
    }
}
