use ids::RegistrationId;

/// Registrations that were not let in, one of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// Its number within the service: the newest has the largest; 0 before it is inserted.
    pub number: i64,
    /// As last spelled.
    pub registration_id: RegistrationId,
    /// The stable name of the reason.
    pub reason: String,
    /// What the device was answered.
    pub error_code: u32,
    /// The SHA-256 of the credential.
    pub credential: [u8; 32],
    pub times: i64,
    /// When first, 100 ns since 1970.
    pub first: i64,
    /// When last, 100 ns since 1970.
    pub last: i64,
    /// JSON.
    pub report: String,
}

/// Which refusals are asked for.
#[derive(Debug, Clone, Copy)]
pub struct RefusalFilter<'a> {
    pub id_scope: &'a str,
    /// Of this registration only.
    pub registration_id: Option<&'a RegistrationId>,
    /// Not before, 100 ns since 1970.
    pub from: i64,
    pub to: i64,
    /// Older than the refusal of this number.
    pub before: i64,
}
