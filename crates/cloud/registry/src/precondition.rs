use ids::Etag;

/// The `If-Match` precondition of a write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IfMatch {
    /// No header. Creating is meant: a PUT on an existing record is a conflict. For DELETE and
    /// PATCH the same as [`Any`](Self::Any).
    #[default]
    Absent,
    /// `*`: whatever version is there, but one must be there.
    Any,
    Exactly(Etag),
    /// Whatever is there or not: an import that creates or overwrites.
    AnyOrAbsent,
    /// That version, or nothing yet.
    ExactlyOrAbsent(Etag),
}

impl From<wire::http::IfMatch> for IfMatch {
    fn from(header: wire::http::IfMatch) -> Self {
        match header {
            wire::http::IfMatch::Absent => Self::Absent,
            wire::http::IfMatch::Any => Self::Any,
            wire::http::IfMatch::Is(etag) => Self::Exactly(etag),
        }
    }
}

/// What a PUT may do, given what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDecision {
    /// Nothing is stored, and a creation is meant.
    Create,
    /// What is stored may be replaced.
    Replace,
    /// It exists and no version was named.
    Conflict,
    /// Another version, or none, is stored.
    Mismatch,
}

impl IfMatch {
    /// Decides a PUT; `stored` is the etag of what is there.
    pub fn decide_put(&self, stored: Option<&Etag>) -> PutDecision {
        match (self, stored) {
            (Self::Absent | Self::AnyOrAbsent | Self::ExactlyOrAbsent(_), None) => {
                PutDecision::Create
            }
            (Self::Absent, Some(_)) => PutDecision::Conflict,
            (Self::Any | Self::AnyOrAbsent, Some(_)) => PutDecision::Replace,
            (Self::Exactly(wanted) | Self::ExactlyOrAbsent(wanted), Some(stored))
                if wanted == stored =>
            {
                PutDecision::Replace
            }
            (Self::Any | Self::Exactly(_) | Self::ExactlyOrAbsent(_), _) => PutDecision::Mismatch,
        }
    }

    /// Whether a DELETE or PATCH of the stored version may go ahead.
    pub fn allows(&self, stored: &Etag) -> bool {
        match self {
            Self::Absent | Self::Any | Self::AnyOrAbsent => true,
            Self::Exactly(wanted) | Self::ExactlyOrAbsent(wanted) => wanted == stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_needs_the_right_version() {
        let one = Etag::parse("MQ==").unwrap();
        let two = Etag::parse("Mg==").unwrap();
        for (condition, stored, decision) in [
            (IfMatch::Absent, None, PutDecision::Create),
            (IfMatch::Absent, Some(&one), PutDecision::Conflict),
            (IfMatch::Any, Some(&one), PutDecision::Replace),
            (IfMatch::Any, None, PutDecision::Mismatch),
            (
                IfMatch::Exactly(one.clone()),
                Some(&one),
                PutDecision::Replace,
            ),
            (
                IfMatch::Exactly(one.clone()),
                Some(&two),
                PutDecision::Mismatch,
            ),
        ] {
            assert_eq!(
                condition.decide_put(stored),
                decision,
                "{condition:?} on {stored:?}"
            );
        }
    }
}
