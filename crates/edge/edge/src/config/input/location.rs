//! Files and keys that a value names.

use wire::sas::SharedAccessKey;

use crate::config::fault::LineNumber;
use crate::config::file_uri;
use crate::config::location::{
    FileReference, InlineKey, KeyLocation, SymmetricKey, TokenReference, TpmReference,
};
use crate::config::offered::Form;
use crate::config::pkcs11_uri::{self, Names};
use crate::config::reader::{At, Section};
use crate::config::secret::Secret;
use crate::config::values;

/// A file that a key names by a `file:///…` URI.
pub(super) fn file(
    section: &Section<'_, '_>,
    key: &'static str,
    required: bool,
) -> Option<FileReference> {
    let at = if required {
        section.required_text(key)?
    } else {
        section.text(key)?
    };
    file_at(section, key, at)
}

/// A file by the URI `at`, which stands at `key`.
pub(super) fn file_at(
    section: &Section<'_, '_>,
    key: &str,
    At { value, line }: At<String>,
) -> Option<FileReference> {
    let name = section.name(key);
    if value.starts_with("pkcs11:") {
        let message = format!("{name}: only keys are in PKCS#11 tokens; write file:///…");
        section.fault(line, message);
        return None;
    }
    match file_uri::path(&value) {
        Ok(path) => Some(FileReference {
            path,
            line: LineNumber(line),
            key: key.to_owned(),
        }),
        Err(problem) => {
            section.fault(line, format!("{name}: {value:?} {problem}"));
            None
        }
    }
}

/// The location of a private key that a key names.
pub(super) fn key(section: &Section<'_, '_>, key: &'static str) -> Option<KeyLocation> {
    let at = section.required_text(key)?;
    key_at(section, key, at)
}

/// The location of a private key by the URI `at`, which stands at `key`.
pub(super) fn key_at(section: &Section<'_, '_>, key: &str, at: At<String>) -> Option<KeyLocation> {
    if at.value.starts_with("pkcs11:") {
        return token(section, key, at, Names::Key).map(KeyLocation::Pkcs11);
    }
    if let Some(handle) = at.value.strip_prefix("tpm:") {
        section.form(Form::TpmKey, key, at.line);
        return match values::tpm_handle(handle) {
            Ok(handle) => Some(KeyLocation::Tpm(TpmReference {
                handle,
                line: LineNumber(at.line),
                key: key.to_owned(),
            })),
            Err(problem) => {
                let name = section.name(key);
                section.fault(at.line, format!("{name}: {:?}: {problem}", at.value));
                None
            }
        };
    }
    file_at(section, key, at).map(KeyLocation::File)
}

/// A PKCS#11 URI. A message about it does not show it, because it may hold a PIN.
pub(super) fn token(
    section: &Section<'_, '_>,
    key: &str,
    At { value, line }: At<String>,
    names: Names,
) -> Option<TokenReference> {
    section.form(Form::Pkcs11Key, key, line);
    if let Some(problem) = pkcs11_uri::problem(&value, names) {
        let name = section.name(key);
        section.fault(line, format!("{name}: {problem}"));
        return None;
    }
    Some(TokenReference {
        uri: Secret::new(value),
        line: LineNumber(line),
        key: key.to_owned(),
    })
}

/// `{ value = "base64" }` or `{ uri = "…" }`.
pub(super) fn symmetric_key(section: &Section<'_, '_>, key: &'static str) -> Option<SymmetricKey> {
    if section.has(key) && !section.is_table(key) {
        if let Some(at) = section.text(key) {
            let name = section.name(key);
            let message = format!(
                "{name}: write {key} = {{ value = \"BASE64\" }}, or {key} = \
                 {{ uri = \"file:///…\" }} for a file with the bytes of the key"
            );
            section.fault(at.line, message);
        }
        return None;
    }
    let Some(table) = section.section(key) else {
        section.missing(key);
        return None;
    };
    let found = match (table.has("value"), table.has("uri")) {
        (true, true) => {
            let message = format!(
                "{}: value and uri are two keys; remove one",
                section.name(key)
            );
            table.fault(table.line(), message);
            table.know(&["value", "uri"]);
            None
        }
        (false, true) => table
            .text("uri")
            .and_then(|at| key_at(&table, "uri", at))
            .and_then(|location| symmetric(&table, location)),
        (_, false) => table
            .required_text("value")
            .and_then(|at| inline(&table, &at))
            .map(SymmetricKey::Inline),
    };
    table.finish();
    found
}

fn symmetric(table: &Section<'_, '_>, location: KeyLocation) -> Option<SymmetricKey> {
    match location {
        KeyLocation::File(file) => Some(SymmetricKey::File(FileReference {
            key: table.name("uri"),
            ..file
        })),
        KeyLocation::Pkcs11(token) => Some(SymmetricKey::Pkcs11(token)),
        KeyLocation::Tpm(reference) => {
            let message = format!(
                "{}: a TPM holds no symmetric key for tokens here; use method = \"tpm\" for its \
                 own attestation, or value or a file",
                table.name("uri")
            );
            table.fault(reference.line.0, message);
            None
        }
        KeyLocation::Held => None,
    }
}

fn inline(table: &Section<'_, '_>, at: &At<String>) -> Option<InlineKey> {
    match values::base64_key(&at.value) {
        Ok(key) => Some(inline_key(key, at.line)),
        Err(problem) => {
            table.fault(at.line, format!("{}: {problem}", table.name("value")));
            None
        }
    }
}

pub(super) fn inline_key(key: SharedAccessKey, line: usize) -> InlineKey {
    InlineKey {
        key,
        line: LineNumber(line),
    }
}
