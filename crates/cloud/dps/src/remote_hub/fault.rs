//! How calls to remote hubs fail, and what that means for the device that waits.

use ids::HubName;
use outbound::{OutboundAnswer, OutboundFault};
use wire::error::{DpsErrorCode, HubErrorCode};
use wire::service_api::remote_hub::{refusal, refusal_code};

/// Why a call to a remote hub failed. The device may read the text; what the
/// hub answered is in [`RemoteFault::with_answer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFault {
    #[error("hub {hub} gave no answer: {fault}")]
    NoAnswer { hub: HubName, fault: OutboundFault },
    #[error(
        "hub {hub} refused the key of its link with status {status}; give the link a current \
         connection string with the rights RegistryRead, RegistryWrite and ServiceConnect"
    )]
    KeyRefused {
        hub: HubName,
        /// The status that the hub answered, 401 or 403.
        status: u16,
        text: String,
    },
    #[error("hub {hub} answered with status {status}")]
    Busy {
        hub: HubName,
        /// 408, 429, or 500 and more.
        status: u16,
        text: String,
    },
    /// The device was changed at the hub in the meantime.
    #[error("the device was changed at hub {hub} at the same time")]
    Changed { hub: HubName },
    #[error("hub {hub} refused the device with status {status}")]
    Rejected {
        hub: HubName,
        status: u16,
        /// The hub's own code, when it sent one.
        code: Option<u32>,
        text: String,
    },
    #[error("hub {hub} cannot be understood: {problem}")]
    Unreadable { hub: HubName, problem: String },
}

impl RemoteFault {
    /// `None` when the hub did what it was asked.
    pub fn from_answer(hub: &HubName, answer: &OutboundAnswer) -> Option<Self> {
        let (hub, status) = (hub.clone(), answer.status);
        let text = || refusal(&answer.body);
        let code = refusal_code(&answer.body);
        match status {
            200..=299 => None,
            // Suspended, or over a quota: the key is accepted.
            403 if code.is_some_and(|code| (403_001..403_100).contains(&code)) => {
                Some(Self::Rejected {
                    hub,
                    status,
                    code,
                    text: text(),
                })
            }
            401 | 403 => Some(Self::KeyRefused {
                hub,
                status,
                text: text(),
            }),
            // What was there is gone, what was not there has come, or it is another version.
            404 | 409 | 412 => Some(Self::Changed { hub }),
            408 | 429 | 500.. => Some(Self::Busy {
                hub,
                status,
                text: text(),
            }),
            _ => Some(Self::Rejected {
                hub,
                status,
                code,
                text: text(),
            }),
        }
    }

    /// Whether the same call may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { fault, .. } => !matches!(fault, OutboundFault::TooLong { .. }),
            Self::Busy { .. } | Self::Changed { .. } => true,
            Self::KeyRefused { .. } | Self::Rejected { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// Whether the hub fails, and not this call. One that throttles is healthy.
    pub fn is_hub_failure(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::KeyRefused { .. } => true,
            Self::Busy { status, .. } => *status >= 500,
            Self::Changed { .. } | Self::Rejected { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// The code that the device gets: Azure's, or the hub's own where it sent one.
    pub fn code(&self) -> u32 {
        match self {
            Self::NoAnswer { .. } => DpsErrorCode::ServiceUnavailable.code(),
            Self::KeyRefused { .. } => HubErrorCode::IotHubUnauthorized.code(),
            Self::Busy { status: 429, .. } => HubErrorCode::ThrottlingException.code(),
            Self::Busy { .. } => DpsErrorCode::ServiceUnavailable.code(),
            Self::Changed { .. } => DpsErrorCode::LinkedHubConflict.code(),
            Self::Rejected { code, .. } => code.unwrap_or(HubErrorCode::InvalidOperation.code()),
            Self::Unreadable { .. } => DpsErrorCode::InternalServerError.code(),
        }
    }

    /// With what the hub answered, for the operator.
    pub fn with_answer(&self) -> String {
        match self {
            Self::KeyRefused { text, .. }
            | Self::Busy { text, .. }
            | Self::Rejected { text, .. }
                if !text.is_empty() =>
            {
                format!("{self}: {text}")
            }
            _ => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, body: &str) -> Option<RemoteFault> {
        let answer = OutboundAnswer {
            status,
            body: body.as_bytes().to_vec(),
            ..OutboundAnswer::default()
        };
        RemoteFault::from_answer(&"remote".parse().unwrap(), &answer)
    }

    #[test]
    fn every_status_has_its_meaning() {
        // Status, its code, again, the hub's own failure.
        for (status, code, again, hubs) in [
            (400, 400_003, false, false),
            (401, 401_003, false, true),
            (403, 401_003, false, true),
            (404, 409_210, true, false),
            (409, 409_210, true, false),
            (412, 409_210, true, false),
            (429, 429_001, true, false),
            (500, 503_000, true, true),
            (503, 503_000, true, true),
            (302, 400_003, false, false),
        ] {
            let found = fault(status, "").unwrap();
            let found = (found.code(), found.may_pass(), found.is_hub_failure());
            assert_eq!(found, (code, again, hubs), "{status}");
        }
        assert_eq!(fault(200, ""), None);
        assert_eq!(fault(204, ""), None);
    }

    #[test]
    fn the_device_reads_nothing_of_the_hubs_answer_and_the_operator_does() {
        let full = fault(413, r#"{"Message":"ErrorCode:TooManyDevices;full"}"#).unwrap();
        assert_eq!(full.code(), 413_002);
        let quota = fault(403, r#"{"Message":"ErrorCode:IotHubQuotaExceeded;"}"#).unwrap();
        assert_eq!((quota.code(), quota.is_hub_failure()), (403_002, false));
        assert!(!full.to_string().contains("full"));
        assert!(
            full.with_answer().contains("TooManyDevices;full"),
            "{}",
            full.with_answer()
        );
    }

    #[test]
    fn silence_is_waited_out_and_an_endless_answer_is_not() {
        let fault = |fault| RemoteFault::NoAnswer {
            hub: "remote".parse().unwrap(),
            fault,
        };
        let silent = fault(OutboundFault::Silent(std::time::Duration::from_secs(10)));
        assert!(silent.may_pass() && silent.is_hub_failure());
        let (status, limit) = (200, 7);
        assert!(!fault(OutboundFault::TooLong { status, limit }).may_pass());
    }
}
