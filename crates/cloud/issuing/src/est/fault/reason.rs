use ids::{IssuerName, Timestamp};
use pki::ChainError;
use provisioning::{EnrollmentKey, NotInForceCertificate};
use wire::est::{BodyError, CredentialsError, Operation};

/// Why a client of EST does not get what it asks for. The text is for operators; `outside` is what
/// the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstReason {
    #[error(
        "the path names no operation of EST; cacerts, csrattrs, simpleenroll, simplereenroll and \
         serverkeygen are offered at /.well-known/est and /.well-known/est/ISSUER"
    )]
    NoOperation,
    #[error("{} is asked for with {}", .0.name(), .0.method())]
    Method(Operation),
    #[error("this service has no issuer {name:?}")]
    NoIssuer { name: String },
    #[error("this service has no issuer; make one with: muster dps issuer create")]
    NoIssuers,
    #[error(
        "this service has {count} issuers and none is the default; name one in the path, \
         /.well-known/est/ISSUER/…, or create one with --default true"
    )]
    NoDefault { count: usize },
    #[error("the issuer was not created with --server-key-generation true")]
    NoServerKeys,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(
        "the client presented neither a user name nor a certificate; give it a user of the issuer \
         or a certificate that the issuer trusts"
    )]
    NoCredential,
    #[error("the issuer has no such user; create it, or correct the client")]
    UserUnknown,
    #[error("the password is not the user's; correct the client, or reset the user")]
    PasswordWrong,
    #[error("the user was reset or deleted while its request was worked on; send it again")]
    UserChanged,
    #[error("the user expired at {}; reset it with a later --expires", .at.in_seconds())]
    UserExpired { at: Timestamp },
    #[error(
        "the user is spent: as many certificates are issued as it was made for; reset it with \
         --uses"
    )]
    UserSpent,
    #[error(
        "the certificate is of no CA of the issuer and of none that it trusts; see muster dps \
         issuer trust"
    )]
    NotTrusted,
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("{0}; enroll the device anew with a user, or restore what is on hold")]
    NotInForce(Box<NotInForceCertificate>),
    #[error(
        "a certificate for {requested:?} is requested with the certificate of {own:?}, which may \
         have one for its own name only; use a user of the issuer"
    )]
    OtherName { own: String, requested: String },
    #[error(
        "the request asks for the name {name:?}, which the certificate does not have; use a user \
         of the issuer"
    )]
    OtherServerName { name: String },
    #[error(
        "simplereenroll is for the subject and the names of the current certificate, {current}, \
         and the request has others; use simpleenroll for a new name"
    )]
    SubjectChanged { current: String },
    #[error(
        "simplereenroll needs the current certificate as TLS client certificate; use simpleenroll \
         without one"
    )]
    NoCurrentCertificate,
    #[error("{0} is disabled; enable it to let its device in")]
    Disabled(EnrollmentKey),
    #[error(
        "an operator has blocked the device of {0}; muster dps unblock --registration-id {id} lets \
         it in again",
        id = .0.as_str()
    )]
    Blocked(EnrollmentKey),
    #[error(
        "{enrollment} pins the certificate that asks and an operator's beside it, so that the new \
         one could not be pinned, as device issuer {issuer} has it; free the secondary slot, or \
         have pinned certificates kept: muster dps issuer update --pinned-certificates keep"
    )]
    PinOccupied {
        enrollment: EnrollmentKey,
        issuer: IssuerName,
    },
    #[error(
        "{0} pins other certificates than the one that asks, which the device has renewed since; \
         let the device use the new one, or pin this one again"
    )]
    Replaced(EnrollmentKey),
    #[error("the certificate request is refused: {0}")]
    Request(#[from] pki::RequestError),
    #[error(
        "the request wants its key encrypted (DecryptKeyIdentifier), which is not offered; the \
         key is protected by TLS only"
    )]
    EncryptedKey,
}

impl EstReason {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoOperation => "est_operation_unknown",
            Self::Method(_) => "est_method_wrong",
            Self::NoIssuer { .. } | Self::NoIssuers => "est_issuer_unknown",
            Self::NoDefault { .. } => "est_issuer_ambiguous",
            Self::NoServerKeys => "est_server_keys_off",
            Self::Body(BodyError::MediaType(_)) => "est_media_type_wrong",
            Self::Body(BodyError::Empty | BodyError::NotBase64) => "est_body_unreadable",
            Self::Credentials(_) => "est_credentials_unreadable",
            Self::NoCredential => "credential_absent",
            Self::UserUnknown => "est_user_unknown",
            Self::PasswordWrong => "est_password_wrong",
            Self::UserChanged => "est_user_changed",
            Self::UserExpired { .. } => "est_user_expired",
            Self::UserSpent => "est_user_spent",
            Self::NotTrusted => "est_certificate_not_trusted",
            Self::Chain(error) => error.code(),
            Self::NotInForce(certificate) => certificate.cause.code(),
            Self::OtherName { .. } | Self::OtherServerName { .. } => "est_name_not_own",
            Self::SubjectChanged { .. } => "est_subject_changed",
            Self::NoCurrentCertificate => "est_certificate_absent",
            Self::Disabled(_) => "enrollment_disabled",
            Self::Blocked(_) => "device_blocked",
            Self::PinOccupied { .. } => "est_pin_occupied",
            Self::Replaced(_) => "est_certificate_replaced",
            Self::Request(error) => error.code(),
            Self::EncryptedKey => "est_key_encryption_unsupported",
        }
    }

    /// The enrollment that decided, if one did.
    #[must_use]
    pub fn enrollment(&self) -> Option<&EnrollmentKey> {
        match self {
            Self::Disabled(key)
            | Self::Blocked(key)
            | Self::Replaced(key)
            | Self::PinOccupied {
                enrollment: key, ..
            } => Some(key),
            _ => None,
        }
    }

    pub(in crate::est) fn status(&self) -> u16 {
        match self {
            Self::NoOperation
            | Self::NoIssuer { .. }
            | Self::NoIssuers
            | Self::NoDefault { .. }
            | Self::NoServerKeys => 404,
            Self::Method(_) => 405,
            Self::Body(BodyError::MediaType(_)) => 415,
            Self::Body(_) | Self::Request(_) | Self::EncryptedKey => 400,
            Self::Credentials(_)
            | Self::NoCredential
            | Self::UserUnknown
            | Self::PasswordWrong
            | Self::UserChanged
            | Self::NotTrusted => 401,
            Self::UserExpired { .. }
            | Self::UserSpent
            | Self::Chain(_)
            | Self::NotInForce(_)
            | Self::OtherName { .. }
            | Self::OtherServerName { .. }
            | Self::SubjectChanged { .. }
            | Self::NoCurrentCertificate
            | Self::Disabled(_)
            | Self::Blocked(_)
            | Self::Replaced(_)
            | Self::PinOccupied { .. } => 403,
        }
    }

    /// What the client reads: terse, and nothing about users before it has proved to be one.
    pub(in crate::est) fn outside(&self) -> String {
        let text = match self {
            Self::Credentials(_)
            | Self::NoCredential
            | Self::UserUnknown
            | Self::PasswordWrong
            | Self::UserChanged
            | Self::NotTrusted => "unauthorized",
            Self::UserExpired { .. } => "this user has expired",
            Self::UserSpent => "this user has no certificates left",
            Self::Chain(ChainError::Expired { .. }) => "the client certificate has expired",
            Self::Chain(_) => "the client certificate is not accepted",
            Self::NotInForce(_) => "the client certificate was revoked",
            Self::OtherName { .. } | Self::OtherServerName { .. } => {
                "the client certificate may have its own name only"
            }
            Self::Disabled(_) | Self::Blocked(_) => "this device may not enroll",
            Self::PinOccupied { .. } => "the new certificate could not be pinned",
            Self::Replaced(_) => "the client certificate was replaced by another one",
            other => return other.to_string(),
        };
        text.to_owned()
    }
}
