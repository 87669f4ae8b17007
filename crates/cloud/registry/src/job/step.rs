use ids::Timestamp;
use store::JobState;

/// What the next step of a job depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobProgress {
    pub state: JobState,
    /// When it may begin.
    pub starts: Timestamp,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// Whether a device is to be worked on.
    pub pending: bool,
    /// Whether a device has been sent a method and has not answered.
    pub running: bool,
}

/// What is to be done for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStep {
    /// Nothing before this time.
    Wait(Timestamp),
    /// It begins.
    Start,
    /// Look for more devices.
    Select,
    /// Work on devices that are pending.
    Work,
    /// Wait for answers, not longer than this.
    Await(Timestamp),
    /// Every device has its outcome.
    Complete,
    /// Its time is over.
    Expire,
    /// Give an outcome to devices that have none, without touching them.
    Close,
    /// Count the outcomes; the job ends.
    Finish,
    /// It has ended.
    Nothing,
}

/// Decides the next step of a job. Steps move it forward only; each can be repeated after a crash.
#[must_use]
pub fn next_step(job: &JobProgress, now: Timestamp) -> JobStep {
    match job.state {
        JobState::Scheduled if now < job.starts => JobStep::Wait(job.starts),
        JobState::Scheduled => JobStep::Start,
        JobState::Selecting | JobState::Working if now >= job.deadline => JobStep::Expire,
        JobState::Selecting => JobStep::Select,
        JobState::Working if job.pending => JobStep::Work,
        JobState::Working if job.running => JobStep::Await(job.deadline),
        JobState::Working => JobStep::Complete,
        JobState::Completing | JobState::Failing | JobState::Cancelling => {
            match job.pending || job.running {
                true => JobStep::Close,
                false => JobStep::Finish,
            }
        }
        JobState::Completed | JobState::Failed | JobState::Cancelled => JobStep::Nothing,
    }
}

#[cfg(test)]
mod tests;
