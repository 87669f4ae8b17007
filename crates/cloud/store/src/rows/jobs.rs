use ids::{DeviceId, HubName, JobId, ModuleId};

/// A job of a hub. Times are in 100 ns since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub hub: HubName,
    pub job_id: JobId,
    pub kind: JobKind,
    pub state: JobState,
    /// Counts the changes of the row.
    pub revision: i64,
    pub created: i64,
    /// When it may begin.
    pub starts: i64,
    pub ended: Option<i64>,
    /// Seconds that it may take.
    pub lifetime: u32,
    /// Which devices, as it was sent.
    pub condition: String,
    /// What is done, JSON as it was sent.
    pub work: String,
    /// The operator on whose behalf it runs, JSON.
    pub actor: String,
    /// How far it is.
    pub cursor: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// Devices by outcome, zero until it ends.
    pub counts: JobCounts,
}

/// What the scheduler looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJobRow {
    pub id: i64,
    pub hub: HubName,
    pub kind: JobKind,
    pub state: JobState,
    /// When it may begin, 100 ns since 1970.
    pub starts: i64,
}

/// Devices of a job by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounts {
    pub pending: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// The names of an enum in the database.
macro_rules! names {
    ($name:ident { $($variant:ident = $text:literal,)* }) => {
        impl $name {
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    UpdateTwin,
    DeviceMethod,
    Import,
    Export,
}

names!(JobKind {
    UpdateTwin = "scheduleUpdateTwin",
    DeviceMethod = "scheduleDeviceMethod",
    Import = "import",
    Export = "export",
});

/// How far a job is. The last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It has not begun.
    Scheduled,
    /// Its devices are being looked for.
    Selecting,
    /// Its devices are being worked on.
    Working,
    /// Every device has its outcome, or gets one without being touched.
    Completing,
    Failing,
    Cancelling,
    Completed,
    Failed,
    Cancelled,
}

names!(JobState {
    Scheduled = "scheduled",
    Selecting = "selecting",
    Working = "working",
    Completing = "completing",
    Failing = "failing",
    Cancelling = "cancelling",
    Completed = "completed",
    Failed = "failed",
    Cancelled = "cancelled",
});

/// A device or module of a job. Times are in 100 ns since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDeviceRow {
    /// Row id of the job.
    pub job: i64,
    pub device_id: DeviceId,
    pub module_id: Option<ModuleId>,
    pub state: JobDeviceState,
    pub created: i64,
    pub started: Option<i64>,
    pub ended: Option<i64>,
    /// The answer to a direct method, JSON.
    pub response: Option<String>,
    pub error: Option<JobDeviceError>,
}

/// Why a device failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDeviceError {
    /// Six digits; the first three are an HTTP status.
    pub code: u32,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobDeviceState {
    Pending,
    /// A method was sent, or is about to be.
    Running,
    Completed,
    Failed,
    Cancelled,
}

names!(JobDeviceState {
    Pending = "pending",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Cancelled = "cancelled",
});
