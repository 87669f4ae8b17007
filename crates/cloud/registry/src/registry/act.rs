//! What operators do, as the audit names it.

/// Something that operators do: its record in the audit has a `kind`, which is stable, because
/// operators search for it.
pub trait OperatorAct: Copy {
    /// The `kind` of its records.
    fn kind(self) -> &'static str;
}

/// Defines the operator acts of a crate: an enum `Act`, and the `kind` of each.
#[macro_export]
macro_rules! operator_acts {
    ($($(#[$doc:meta])* $act:ident = $kind:literal,)*) => {
        /// What operators do. A test does each of them and looks for its record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Act {
            $($(#[$doc])* $act,)*
        }

        impl Act {
            pub const ALL: &[Self] = &[$(Self::$act,)*];
        }

        impl $crate::OperatorAct for Act {
            fn kind(self) -> &'static str {
                match self {
                    $(Self::$act => $kind,)*
                }
            }
        }
    };
}

operator_acts! {
    /// A hub is made.
    CreateHub = "hub.create",
    /// A hub is deleted.
    DeleteHub = "hub.delete",
    /// The keys of a hub are shown.
    ReadHubKeys = "hub.keys.read",
    /// A device identity is written.
    PutDevice = "device.put",
    /// Keys of a device or module are generated anew.
    RotateKeys = "device.keys.regenerate",
    /// A device identity is deleted.
    DeleteDevice = "device.delete",
    /// A module identity is written.
    PutModule = "module.put",
    /// A module identity is deleted.
    DeleteModule = "module.delete",
    /// Tags or desired properties are written.
    ChangeTwin = "twin.change",
    /// A cloud-to-device message is sent.
    SendMessage = "message.send",
    /// The cloud-to-device messages of a device or module are deleted.
    PurgeMessages = "messages.purge",
    /// A configuration or deployment is written.
    PutConfiguration = "configuration.put",
    /// A configuration or deployment is deleted.
    DeleteConfiguration = "configuration.delete",
    /// Routes, endpoints or enrichments of a hub are written.
    PutRouting = "routing.put",
    /// A consumer group is created.
    PutConsumerGroup = "consumerGroup.put",
    /// A consumer group is deleted.
    DeleteConsumerGroup = "consumerGroup.delete",
    /// The content of a deployment is written to one device.
    ApplyConfiguration = "configuration.apply",
    /// A job is created. What it does to devices has no records of its own.
    CreateJob = "job.create",
    /// A job is cancelled.
    CancelJob = "job.cancel",
    /// A staged rollout of a deployment begins.
    StartRollout = "rollout.start",
    /// A rollout is paused.
    PauseRollout = "rollout.pause",
    /// A rollout goes on.
    ResumeRollout = "rollout.resume",
    /// A rollout ends, and devices go back.
    AbortRollout = "rollout.abort",
}
