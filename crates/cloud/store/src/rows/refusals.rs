/// Registrations that were not let in, one of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// Its number within the service: the newest has the largest; 0 before it is inserted.
    pub number: i64,
    /// The registration id in lower case.
    pub folded: String,
    pub spelled: String,
    /// The stable name of the reason.
    pub reason: String,
    /// What the device was answered.
    pub error_code: u32,
    /// What was shown, hashed.
    pub credential: [u8; 32],
    pub times: i64,
    /// When first, 100 ns since 1970.
    pub first: i64,
    /// When last, 100 ns since 1970.
    pub last: i64,
    pub report: String,
}

/// Which refusals are asked for.
#[derive(Debug, Clone, Copy)]
pub struct RefusalFilter<'a> {
    pub id_scope: &'a str,
    /// Of this registration only, in lower case.
    pub folded: Option<&'a str>,
    /// Not before, 100 ns since 1970.
    pub from: i64,
    pub to: i64,
    /// Older than the refusal of this number.
    pub before: i64,
}
