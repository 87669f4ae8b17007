use ids::Timestamp;
use store::NewMessageRow;
use wire::cloud_message::{MAX_BAG, MAX_MESSAGE, SendRequest};
use wire::device_api::message::PropertyBag;

use super::{DEFAULT_TTL, MAX_TTL, MessageError};

/// A message that a back end sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDraft {
    pub request: SendRequest,
    pub body: Vec<u8>,
}

/// A message that may be queued.
#[derive(Debug, Clone)]
pub(crate) struct CheckedDraft {
    pub(crate) row: NewMessageRow,
}

impl CheckedDraft {
    /// Checks sizes and times. A message without an id gets `fresh_id`.
    pub(crate) fn new(
        draft: MessageDraft,
        fresh_id: &str,
        now: Timestamp,
    ) -> Result<Self, MessageError> {
        let MessageDraft { request, body } = draft;
        let of_properties = request.properties.iter();
        let properties: usize = of_properties
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let size = body.len() + properties;
        if size > MAX_MESSAGE {
            return Err(MessageError::TooLarge { size });
        }
        let mut bag = PropertyBag::new();
        for (name, value) in &request.properties {
            bag.set(name.as_str(), value.as_str());
        }
        if bag.encode().len() > MAX_BAG {
            return Err(MessageError::PropertiesTooLong);
        }
        let expires = match request.expires {
            None => now.plus(DEFAULT_TTL),
            Some(at) if at <= now => return Err(MessageError::Expired(at)),
            Some(at) if at > now.plus(MAX_TTL) => return Err(MessageError::ExpiresTooLate(at)),
            Some(at) => at,
        };
        let row = NewMessageRow {
            message_id: request.message_id.unwrap_or_else(|| fresh_id.to_owned()),
            ack: request.ack,
            // Pairs of texts have nothing that cannot be written.
            properties: serde_json::to_string(&request.properties).unwrap_or_default(),
            body,
            enqueued: now.ticks(),
            expires: expires.ticks(),
        };
        Ok(Self { row })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(body: usize, request: SendRequest) -> Result<CheckedDraft, MessageError> {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let body = vec![b'x'; body];
        CheckedDraft::new(MessageDraft { request, body }, "fresh", now)
    }

    fn expiring(after: i64) -> SendRequest {
        SendRequest {
            expires: Some(Timestamp::from_unix_seconds(1_000_000 + after)),
            ..SendRequest::default()
        }
    }

    #[test]
    fn sizes_and_times_have_limits() {
        let plain = check(MAX_MESSAGE, SendRequest::default()).unwrap().row;
        assert_eq!(plain.message_id, "fresh");
        assert_eq!(plain.expires - plain.enqueued, 3600 * 10_000_000);
        let long = check(MAX_MESSAGE + 1, SendRequest::default()).unwrap_err();
        assert!(matches!(long, MessageError::TooLarge { size } if size == MAX_MESSAGE + 1));
        let properties = vec![("k".to_owned(), "%".repeat(MAX_BAG / 2))];
        let encoded = SendRequest {
            properties,
            ..SendRequest::default()
        };
        let encoded = check(0, encoded).unwrap_err();
        assert!(matches!(encoded, MessageError::PropertiesTooLong));
        let two_days = Duration::from_secs(2 * 24 * 3600).as_secs().cast_signed();
        assert!(check(0, expiring(1)).is_ok());
        assert!(check(0, expiring(two_days)).is_ok());
        let late = check(0, expiring(two_days + 1)).unwrap_err();
        assert!(matches!(late, MessageError::ExpiresTooLate(_)));
        let past = check(0, expiring(0)).unwrap_err();
        assert!(matches!(past, MessageError::Expired(_)));
    }
}
