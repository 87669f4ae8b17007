use ids::{CertificateSerial, IssuerName, IssuerUserName, Thumbprint};

/// A certificate that an issuer has issued. Its DER is read apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificateRow {
    /// Row id, never given out twice; 0 before it is inserted.
    pub id: i64,
    /// The name of the issuer, which may be deleted by now.
    pub issuer: IssuerName,
    /// SHA-256 of the CA certificate that signed it.
    pub authority: Thumbprint,
    pub serial: CertificateSerial,
    pub common_name: String,
    pub thumbprint: Thumbprint,
    /// 100 ns since 1970, as are all times here.
    pub not_before: i64,
    pub not_after: i64,
    /// The kind of its key, as operators name it.
    pub key_type: Option<String>,
    pub origin: CertificateOrigin,
    /// The user of the issuer who had it issued.
    pub username: Option<IssuerUserName>,
    pub issued: i64,
    pub state: IssuedState,
    /// Why it is held or revoked: a name of RFC 5280 5.3.1.
    pub reason: Option<String>,
    /// When the state last changed.
    pub changed: Option<i64>,
}

/// What a revocation list says of a certificate that is held or revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedCertificateRow {
    pub id: i64,
    /// SHA-256 of the CA certificate that signed it.
    pub authority: Thumbprint,
    pub serial: CertificateSerial,
    pub state: IssuedState,
    /// A name of RFC 5280 5.3.1.
    pub reason: Option<String>,
    pub changed: Option<i64>,
}

/// Who asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateOrigin {
    /// A device as it registered.
    Registration,
    /// A client of EST.
    Est,
    /// A device over its hub connection.
    Hub,
    Operator,
    /// A version that kept no list of certificates; this one is known from the audit.
    Audit,
}

stored_names!(CertificateOrigin {
    Registration => "registration",
    Est => "est",
    Hub => "hub",
    Operator => "operator",
    Audit => "audit",
});

/// Whether an issued certificate counts. Its expiry is apart from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedState {
    Valid,
    /// Revoked for now: `certificateHold`.
    Held,
    Revoked,
}

stored_names!(IssuedState {
    Valid => "valid",
    Held => "held",
    Revoked => "revoked",
});

/// Which certificates of an issuer are asked for.
#[derive(Debug, Clone, Copy)]
pub struct IssuedFilter<'a> {
    pub id_scope: &'a str,
    /// The issuer's name in lower case.
    pub issuer: &'a str,
    pub state: Option<IssuedState>,
    /// With `notAfter` from here, 100 ns since 1970.
    pub expires_from: i64,
    pub expires_before: i64,
}
