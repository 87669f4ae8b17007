macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(
            missing_docs,
            reason = "the names are the service's own; nothing is known about them beyond the name"
        )]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// Every code, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The six digits; the first three are an HTTP status.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The name, as headers carry it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            /// The HTTP status: the first three digits.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "six digits over a thousand are three"
                )]
                let status = (self.code() / 1000) as u16;
                status
            }

            /// The code of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name().eq_ignore_ascii_case(name))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", self.code(), self.name())
            }
        }
    };
}

codes! {
    /// What the provisioning service refuses with. `how-to-troubleshoot-dps.md`; where the sources
    /// give a number without a name, the name is ours.
    DpsErrorCode {
        ArgumentInvalid = 400_004,
        CustomAllocationFailed = 400_207,
        Unauthorized = 401_000,
        InvalidCertificate = 401_002,
        Forbidden = 403_000,
        NotFound = 404_000,
        EnrollmentNotFound = 404_201,
        DeviceRegistrationNotFound = 404_202,
        AsyncOperationNotFound = 404_203,
        EnrollmentGroupNotFound = 404_204,
        DeviceRecordNotFound = 404_205,
        GroupRecordNotFound = 404_206,
        DeviceGroupNotFound = 404_207,
        ProvisioningSettingsNotFound = 404_208,
        ProvisioningRecordNotFound = 404_209,
        LinkedHubNotFound = 404_210,
        CertificateAuthorityNotFound = 404_211,
        MethodNotAllowed = 405_000,
        RequestTimeout = 408_000,
        Conflict = 409_000,
        EnrollmentConflict = 409_201,
        EnrollmentGroupConflict = 409_202,
        RegistrationStatusConflict = 409_203,
        DeviceRecordConflict = 409_205,
        GroupRecordConflict = 409_206,
        DeviceGroupConflict = 409_207,
        ProvisioningSettingsConflict = 409_208,
        ProvisioningRecordConflict = 409_209,
        LinkedHubConflict = 409_210,
        CertificateAuthorityConflict = 409_211,
        PreconditionFailed = 412_000,
        RequestTooLarge = 413_000,
        UnsupportedMediaType = 415_000,
        TooManyRequests = 429_001,
        InternalServerError = 500_000,
        ServiceUnavailable = 503_000,
    }
}

codes! {
    /// What a hub refuses with. `ErrorCode.cs` of the .NET service SDK; those of configurations are
    /// known by name only, their numbers are ours. Those of credentials: the Java device SDK.
    HubErrorCode {
        InvalidProtocolVersion = 400_001,
        DeviceInvalidResultCount = 400_002,
        InvalidOperation = 400_003,
        ArgumentInvalid = 400_004,
        ArgumentNull = 400_005,
        IotHubFormatError = 400_006,
        InvalidSchemaVersion = 400_010,
        DeviceDefinedMultipleTimes = 400_011,
        DeserializationError = 400_012,
        BulkRegistryOperationFailure = 400_013,
        ConnectionForcefullyClosedOnNewConnection = 400_027,
        CredentialOperationFailed = 400_040,
        InvalidContentEncodingOrType = 400_103,
        CannotRegisterModuleToModule = 400_301,
        IotHubNotFound = 401_001,
        IotHubUnauthorizedAccess = 401_002,
        IotHubUnauthorized = 401_003,
        IotHubSuspended = 403_001,
        IotHubQuotaExceeded = 403_002,
        JobQuotaExceeded = 403_003,
        DeviceMaximumQueueDepthExceeded = 403_004,
        IotHubMaxCbsTokenExceeded = 403_005,
        DeviceMaximumActiveFileUploadLimitExceeded = 403_006,
        OperationNotAvailableInCurrentTier = 403_010,
        DeviceNotFound = 404_001,
        JobNotFound = 404_002,
        ModuleNotFound = 404_010,
        ConfigurationNotFound = 404_011,
        DeviceNotOnline = 404_103,
        DeviceConnectionClosedRemotely = 404_104,
        DeviceAlreadyExists = 409_001,
        LinkCreationConflict = 409_002,
        CredentialOperationPending = 409_004,
        ConfigurationAlreadyExists = 409_011,
        ModuleAlreadyExistsOnDevice = 409_301,
        PreconditionFailed = 412_001,
        DeviceMessageLockLost = 412_002,
        CredentialManagementPreconditionFailed = 412_005,
        MessageTooLarge = 413_001,
        TooManyDevices = 413_002,
        TooManyModulesOnDevice = 413_003,
        GenericTooManyRequests = 429_000,
        ThrottlingException = 429_001,
        ThrottleBacklogLimitExceeded = 429_002,
        ThrottlingBacklogTimeout = 429_003,
        ThrottlingMaxActiveJobCountExceeded = 429_004,
        DeviceThrottlingLimitExceeded = 429_005,
        ServerError = 500_001,
        JobCancelled = 500_002,
        InvalidThrottleParameter = 500_009,
        ServiceUnavailable = 503_001,
        PartitionNotFound = 503_003,
        GatewayTimeout = 504_101,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_their_status_is_an_error() {
        let dps: Vec<u32> = DpsErrorCode::ALL.iter().map(|c| c.code()).collect();
        let hub: Vec<u32> = HubErrorCode::ALL.iter().map(|c| c.code()).collect();
        for codes in [dps, hub] {
            assert!(codes.is_sorted_by(|a, b| a < b));
            assert!(codes.iter().all(|code| (400..600).contains(&(code / 1000))));
        }
        assert_eq!(
            HubErrorCode::from_name("devicenotfound"),
            Some(HubErrorCode::DeviceNotFound)
        );
        assert_eq!(DpsErrorCode::EnrollmentConflict.http_status(), 409);
        assert_eq!(
            HubErrorCode::GatewayTimeout.to_string(),
            "504101 GatewayTimeout"
        );
    }
}
