use ids::Thumbprint;

use crate::CaCertificateRow;

/// A certificate of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// The SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    pub slot: CertificateSlot,
    pub der: Vec<u8>,
    /// The subject of a group's certificate in the form in which names are compared (earlier
    /// versions wrote its DER), by which a chain is continued that ends before it.
    pub subject: Option<Vec<u8>>,
}

/// Which of an enrollment's two certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateSlot {
    /// The one in daily use.
    Primary,
    /// The one to roll over to.
    Secondary,
}

stored_names!(CertificateSlot {
    Primary => "primary",
    Secondary => "secondary",
});

/// A CA certificate that an enrollment refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferredCaCertificate {
    pub slot: CertificateSlot,
    pub row: CaCertificateRow,
}

/// A reference of an enrollment to a CA certificate, to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaCertificateReference {
    pub slot: CertificateSlot,
    /// Row id.
    pub ca_certificate: i64,
}
