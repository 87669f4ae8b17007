use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::device_api::registration::AttestationDetail;

/// How a device proved itself, as its answers tell: JSON, kept as text, because every registration
/// writes it and few are asked for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AttestationDetail", into = "AttestationDetail")]
pub struct Detail(Arc<str>);

impl Detail {
    #[must_use]
    pub fn of(detail: &AttestationDetail) -> Self {
        // Serialising our own types fails only for maps with keys that are not text; there are
        // none.
        Self(serde_json::to_string(detail).unwrap_or_default().into())
    }

    /// Reads it. One that another version wrote in a way that this one does not know tells nothing.
    #[must_use]
    pub fn read(&self) -> AttestationDetail {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    pub(crate) fn stored(text: Arc<str>) -> Self {
        Self(text)
    }

    pub(crate) fn to_stored(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl From<AttestationDetail> for Detail {
    fn from(detail: AttestationDetail) -> Self {
        Self::of(&detail)
    }
}

impl From<Detail> for AttestationDetail {
    fn from(detail: Detail) -> Self {
        detail.read()
    }
}

/// Without the text: a TPM's key is in it, wrapped for the TPM.
impl std::fmt::Debug for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detail({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use wire::device_api::registration::SymmetricKeyResult;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_tells_nothing() {
        let detail = AttestationDetail {
            symmetric_key: Some(SymmetricKeyResult {
                enrollment_group_id: None,
            }),
            ..AttestationDetail::default()
        };
        let written = Detail::of(&detail);
        assert_eq!(written.read(), detail);
        assert_eq!(Detail::stored(written.to_stored()), written);
        let nested = serde_json::to_value(&written).unwrap();
        assert_eq!(nested, serde_json::to_value(&detail).unwrap());
        assert_eq!(serde_json::from_value::<Detail>(nested).unwrap(), written);
        let unknown = Detail::stored("[]".into());
        assert_eq!(unknown.read(), AttestationDetail::default());
    }
}
