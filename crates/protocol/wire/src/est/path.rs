use crate::http::is;

/// What a client of EST asks for. `fullcmc` is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The certificates of the issuer.
    CaCerts,
    /// What a certificate request should ask for.
    CsrAttrs,
    /// A certificate for a name.
    SimpleEnroll,
    /// Another certificate for the subject of the current one.
    SimpleReenroll,
    /// A certificate with a key that the server makes.
    ServerKeyGen,
}

impl Operation {
    /// All, in the order of RFC 7030 3.2.2.
    pub const ALL: [Self; 5] = [
        Self::CaCerts,
        Self::SimpleEnroll,
        Self::SimpleReenroll,
        Self::ServerKeyGen,
        Self::CsrAttrs,
    ];

    /// The last segment of its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CaCerts => "cacerts",
            Self::CsrAttrs => "csrattrs",
            Self::SimpleEnroll => "simpleenroll",
            Self::SimpleReenroll => "simplereenroll",
            Self::ServerKeyGen => "serverkeygen",
        }
    }

    /// The method of its requests: `GET` or `POST`.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::CaCerts | Self::CsrAttrs => "GET",
            Self::SimpleEnroll | Self::SimpleReenroll | Self::ServerKeyGen => "POST",
        }
    }

    /// Whether it answers to anybody.
    #[must_use]
    pub fn is_public(self) -> bool {
        matches!(self, Self::CaCerts | Self::CsrAttrs)
    }
}

/// A request path below `/.well-known/est`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstCall<'a> {
    /// The name of an issuer, as the client spells it; `None` for the default one.
    pub issuer: Option<&'a str>,
    /// What is asked of it.
    pub operation: Operation,
}

impl<'a> EstCall<'a> {
    /// Whether a path is one of EST's, known or not.
    #[must_use]
    pub fn is_below(path: &[&str]) -> bool {
        matches!(path, [root, est, ..] if is(root, ".well-known") && is(est, "est"))
    }

    /// Reads the segments of a path; `None` when it names no operation.
    #[must_use]
    pub fn find(path: &[&'a str]) -> Option<Self> {
        if !Self::is_below(path) {
            return None;
        }
        let (issuer, name) = match *path {
            [_, _, name] => (None, name),
            [_, _, issuer, name] => (Some(issuer), name),
            _ => return None,
        };
        let mut all = Operation::ALL.into_iter();
        let operation = all.find(|operation| is(name, operation.name()))?;
        Some(Self { issuer, operation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_an_operation_with_or_without_an_issuer() {
        let call = |issuer, operation| Some(EstCall { issuer, operation });
        for (path, expected) in [
            (".well-known/est/cacerts", call(None, Operation::CaCerts)),
            (
                ".Well-Known/EST/SimpleEnroll",
                call(None, Operation::SimpleEnroll),
            ),
            (
                ".well-known/est/Fleet/simplereenroll",
                call(Some("Fleet"), Operation::SimpleReenroll),
            ),
            (
                ".well-known/est/cacerts/cacerts",
                call(Some("cacerts"), Operation::CaCerts),
            ),
            (
                ".well-known/est/f/csrattrs",
                call(Some("f"), Operation::CsrAttrs),
            ),
            (
                ".well-known/est/f/serverkeygen",
                call(Some("f"), Operation::ServerKeyGen),
            ),
            (".well-known/est/f/fullcmc", None),
            (".well-known/est/f/g/cacerts", None),
            (".well-known/est", None),
            (".well-known/other/cacerts", None),
            ("est/cacerts", None),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(EstCall::find(&segments), expected, "{path}");
        }
    }
}
