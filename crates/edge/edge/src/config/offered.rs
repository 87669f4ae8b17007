//! Forms of Azure's configuration that are read, but whose behaviour does not exist yet.
//!
//! The reader makes the types of every form and calls `Section::form` where a form stands in
//! the file. A form with a row in [`NOT_YET`] is refused there, with its line, key, and what works
//! instead.
//!
//! To offer a form: build its behaviour, then delete its row. Nothing else has to change here;
//! `tests/azure.rs` then demands that the form is accepted. Tests of a behaviour that is still in
//! the making read their configuration by `Config::parse_all_forms`, which has no such rows.

/// A form that Azure's tools accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    SourceNone,
    SourceManual,
    ParentHostname,
    SymmetricKey,
    Pkcs11Key,
    TpmKey,
    IdentityByEst,
    IdentityByLocalCa,
    IdentitySelfSigned,
    IdentityByDps,
    EdgeCaFiles,
    EdgeCaByEst,
    EdgeCaByLocalCa,
    EdgeCaSelfSigned,
    PreloadedKeys,
    PreloadedCerts,
    ImportedMasterKey,
    LocalIds,
    ImageCollection,
}

const X509_FILES: &str = "use source = \"dps\" with an attestation of method = \"x509\"";

/// The forms that are not offered yet, each with what works instead.
const NOT_YET: &[(Form, &str)] = &[
    (Form::SourceNone, X509_FILES),
    (
        Form::ParentHostname,
        "nested devices come later, remove the line",
    ),
    (Form::PreloadedCerts, "remove the section"),
    (Form::LocalIds, "remove the section"),
];

/// Which forms a reading accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Those without a row in the table.
    Built,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for tests of forms in the making")
    )]
    All,
}

impl Offer {
    /// What works instead of a form that is not offered yet; `None` if it is.
    pub(super) fn instead_of(self, form: Form) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Built => NOT_YET
                .iter()
                .find(|(not_yet, _)| *not_yet == form)
                .map(|(_, instead)| *instead),
        }
    }
}
