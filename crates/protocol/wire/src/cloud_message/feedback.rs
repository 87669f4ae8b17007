use ids::{DeviceId, GenerationId, ModuleId, Timestamp};
use serde::Serialize;

/// Content type of a batch of feedback: a JSON array of [`FeedbackRecord`].
pub const FEEDBACK: &str = "application/vnd.microsoft.iothub.feedback.json";

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FeedbackStatus {
    /// The device completed it.
    Success,
    /// Its time ran out.
    Expired,
    /// The device abandoned it too often.
    DeliveryCountExceeded,
    /// The device rejected it.
    Rejected,
    /// An operator emptied the queue.
    Purged,
}

impl FeedbackStatus {
    fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Message expired",
            Self::DeliveryCountExceeded => "Maximum delivery count exceeded",
            Self::Rejected => "Message rejected",
            Self::Purged => "Message purged",
        }
    }
}

/// The outcome of one message, for its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackRecord {
    original_message_id: String,
    description: &'static str,
    device_generation_id: GenerationId,
    device_id: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<ModuleId>,
    enqueued_time_utc: Timestamp,
    status_code: FeedbackStatus,
}

impl FeedbackRecord {
    /// The outcome `status` at the time `at` of a message of a device or module.
    #[must_use]
    pub fn new(
        (device, module): (DeviceId, Option<ModuleId>),
        generation: GenerationId,
        message_id: String,
        (status, at): (FeedbackStatus, Timestamp),
    ) -> Self {
        Self {
            original_message_id: message_id,
            description: status.description(),
            device_generation_id: generation,
            device_id: device,
            module_id: module,
            enqueued_time_utc: at,
            status_code: status,
        }
    }
}

/// The answer to `DELETE /devices/{id}/commands`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeResult {
    /// The device, or the one that the module runs on.
    pub device_id: DeviceId,
    /// The module; `null` for the device itself.
    pub module_id: Option<ModuleId>,
    /// How many messages were in the queue.
    pub total_messages_purged: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_the_documented_members() {
        let record = FeedbackRecord::new(
            (DeviceId::parse("d1").unwrap(), None),
            GenerationId::parse("637").unwrap(),
            "m1".to_owned(),
            (FeedbackStatus::Expired, Timestamp::from_unix_seconds(0)),
        );
        assert_eq!(
            serde_json::to_value(&record).unwrap(),
            json!({
                "originalMessageId": "m1",
                "description": "Message expired",
                "deviceGenerationId": "637",
                "deviceId": "d1",
                "enqueuedTimeUtc": "1970-01-01T00:00:00.0000000Z",
                "statusCode": "Expired",
            })
        );
    }
}
