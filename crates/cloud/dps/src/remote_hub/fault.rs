//! What a call to a remote hub may come to, and what that means for the device that waits.

use ids::HubName;
use wire::error::{DpsErrorCode, HubErrorCode};
use wire::service_api::remote_hub::{refusal, refusal_code};

use crate::outbound::{OutboundAnswer, OutboundFault};

/// Why a remote hub did not do what it was asked. The text is fit for the registration's record; what the hub itself said is told by
/// [`RemoteFault::said`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFault {
    /// It did not answer.
    #[error("hub {hub} gave no answer: {fault}")]
    NoAnswer {
        /// Which.
        hub: HubName,
        /// Why.
        fault: OutboundFault,
    },
    /// It does not accept the key of its link.
    #[error(
        "hub {hub} refused the key of its link with status {status}; give the link a current connection string with the rights RegistryRead, RegistryWrite and ServiceConnect"
    )]
    KeyRefused {
        /// Which.
        hub: HubName,
        /// 401 or 403.
        status: u16,
        /// What it said.
        text: String,
    },
    /// It has too much to do, or is broken.
    #[error("hub {hub} answered with status {status}")]
    Busy {
        /// Which.
        hub: HubName,
        /// 408, 429, or 500 and more.
        status: u16,
        /// What it said.
        text: String,
    },
    /// Somebody changed the device in the meantime.
    #[error("the device was changed at hub {hub} at the same time")]
    Changed {
        /// Which.
        hub: HubName,
    },
    /// It does not want what it was asked.
    #[error("hub {hub} refused the device with status {status}")]
    Rejected {
        /// Which.
        hub: HubName,
        /// Its status.
        status: u16,
        /// The hub's own code, when it told one.
        code: Option<u32>,
        /// What it said.
        text: String,
    },
    /// Its answer cannot be used.
    #[error("hub {hub} cannot be understood: {problem}")]
    Unreadable {
        /// Which.
        hub: HubName,
        /// Why.
        problem: String,
    },
}

impl RemoteFault {
    /// What an answer means; `None` when the hub did what it was asked.
    #[must_use]
    pub fn of(hub: &HubName, answer: &OutboundAnswer) -> Option<Self> {
        let (hub, status) = (hub.clone(), answer.status);
        let text = || refusal(&answer.body);
        let code = refusal_code(&answer.body);
        match status {
            200..=299 => None,
            // Suspended, or over a quota: no word against the key.
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

    /// Whether asking again may help without anybody's doing.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { fault, .. } => !matches!(fault, OutboundFault::TooLong(_)),
            Self::Busy { .. } | Self::Changed { .. } => true,
            Self::KeyRefused { .. } | Self::Rejected { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// Whether it is the hub that fails, and not what was asked of it. One that asks for patience is well.
    #[must_use]
    pub fn is_the_hubs(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::KeyRefused { .. } => true,
            Self::Busy { status, .. } => *status >= 500,
            Self::Changed { .. } | Self::Rejected { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// What the device is told: Azure's codes, the hub's own where it names one.
    #[must_use]
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

    /// The whole story, for the operator.
    #[must_use]
    pub fn said(&self) -> String {
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

    fn of(status: u16, body: &str) -> Option<RemoteFault> {
        let answer = OutboundAnswer {
            status,
            body: body.as_bytes().to_vec(),
        };
        RemoteFault::of(&"far".parse().unwrap(), &answer)
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
            let fault = of(status, "").unwrap();
            let found = (fault.code(), fault.may_pass(), fault.is_the_hubs());
            assert_eq!(found, (code, again, hubs), "{status}");
        }
        assert_eq!(of(200, ""), None);
        assert_eq!(of(204, ""), None);
    }

    #[test]
    fn the_device_reads_no_word_of_the_hub_and_the_operator_does() {
        let full = of(413, r#"{"Message":"ErrorCode:TooManyDevices;full"}"#).unwrap();
        assert_eq!(full.code(), 413_002);
        let quota = of(403, r#"{"Message":"ErrorCode:IotHubQuotaExceeded;"}"#).unwrap();
        assert_eq!((quota.code(), quota.is_the_hubs()), (403_002, false));
        assert!(!full.to_string().contains("full"));
        assert!(
            full.said().contains("TooManyDevices;full"),
            "{}",
            full.said()
        );
    }

    #[test]
    fn silence_is_waited_out_and_an_endless_answer_is_not() {
        let fault = |fault| RemoteFault::NoAnswer {
            hub: "far".parse().unwrap(),
            fault,
        };
        let silent = fault(OutboundFault::Silent(std::time::Duration::from_secs(10)));
        assert!(silent.may_pass() && silent.is_the_hubs());
        assert!(!fault(OutboundFault::TooLong(7)).may_pass());
    }
}
