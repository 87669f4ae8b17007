use ids::{CertificateName, CertificateSerial, Etag, IdScope, IssuerName, Thumbprint};

/// What becomes of a CA's certificates while its revocation list is too old or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StalePolicy {
    /// What the list names is refused, everything else accepted.
    Accept,
    Refuse,
}

stored_names!(StalePolicy {
    Accept => "accept",
    Refuse => "refuse",
});

/// The revocation list of another CA, without its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationListRow {
    pub id: i64,
    pub name: CertificateName,
    /// DER.
    pub ca: Vec<u8>,
    pub stale: StalePolicy,
    /// Where it is fetched from; `None` when it is uploaded.
    pub source: Option<ListSource>,
    /// `None` while no list was read.
    pub content: Option<ListContent>,
    /// The last look at the source, ticks.
    pub fetched: Option<i64>,
    /// Why the last look brought no list.
    pub fault: Option<String>,
    pub etag: Etag,
    pub created: i64,
    pub updated: i64,
}

/// Where a list is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSource {
    pub url: String,
    /// Seconds between two looks.
    pub interval: u32,
}

/// What a list said of itself. Times are ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListContent {
    /// cRLNumber, the highest byte first.
    pub number: Option<Vec<u8>>,
    pub this_update: i64,
    pub next_update: Option<i64>,
    pub entries: u32,
    /// When it was stored.
    pub stored: i64,
    /// What the server called this version of the list.
    pub http_etag: Option<String>,
    pub http_modified: Option<String>,
}

/// A certificate of an issuer that is revoked or on hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedRow {
    pub id_scope: IdScope,
    pub issuer: IssuerName,
    /// SHA-256 of the CA certificate that signed it.
    pub authority: Thumbprint,
    pub serial: CertificateSerial,
    pub reason: Option<String>,
    /// Ticks.
    pub changed: Option<i64>,
}

/// A CA certificate of an issuer that has revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokingCaRow {
    pub id_scope: IdScope,
    pub issuer: IssuerName,
    pub authority: Thumbprint,
    pub der: Vec<u8>,
}
