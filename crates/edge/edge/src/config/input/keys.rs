//! `[aziot_keys]`, `[preloaded_keys]`, `[preloaded_certs]`, `[tpm]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tpm::{Authorization, Tcti, TctiError, TpmSettings};

use super::location::{file_at, key_at, token};
use crate::config::fault::LineNumber;
use crate::config::location::KeyLocation;
use crate::config::offered::Form;
use crate::config::pkcs11_uri::Names;
use crate::config::reader::{At, Section, TextOrNumber, TextOrTexts};
use crate::config::settings::{Pkcs11Library, PreloadedCertificate, TpmSection};

/// The largest `auth_key_index`: persistent objects of the owner.
const MAX_INDEX: u64 = 0x7f_ffff;

/// `[aziot_keys]`.
pub(super) fn pkcs11_library(top: &Section<'_, '_>) -> Option<Pkcs11Library> {
    let section = top.asking_section("aziot_keys")?;
    let path = section.text("pkcs11_lib_path");
    if let Some(At { line, .. }) = &path {
        section.form(Form::Pkcs11Key, "pkcs11_lib_path", *line);
    }
    let base_slot = section
        .text("pkcs11_base_slot")
        .and_then(|at| token(&section, "pkcs11_base_slot", at, Names::Token));
    if path.is_none() && !section.has("pkcs11_lib_path") {
        section.missing("pkcs11_lib_path");
    }
    section.finish();
    let At { value, line } = path?;
    if !value.starts_with('/') {
        let message = format!(
            "aziot_keys.pkcs11_lib_path: {value:?} is not the absolute path of a library, such as \
             /usr/lib/softhsm/libsofthsm2.so"
        );
        top.fault(line, message);
        return None;
    }
    Some(Pkcs11Library {
        path: PathBuf::from(value),
        line: LineNumber(line),
        base_slot,
    })
}

/// `[preloaded_keys]`: keys for other programs, by their ids.
pub(super) fn preloaded_keys(top: &Section<'_, '_>) -> BTreeMap<String, KeyLocation> {
    let Some(section) = top.asking_section("preloaded_keys") else {
        return BTreeMap::new();
    };
    top.form(Form::PreloadedKeys, "preloaded_keys", section.line());
    let keys = section.texts().into_iter();
    keys.filter_map(|(id, at)| {
        let location = key_at(&section, &id, at)?;
        Some((id, location))
    })
    .collect()
}

/// `[preloaded_certs]`: certificates for other programs, by their ids.
pub(super) fn preloaded_certs(top: &Section<'_, '_>) -> BTreeMap<String, PreloadedCertificate> {
    let Some(section) = top.asking_section("preloaded_certs") else {
        return BTreeMap::new();
    };
    top.form(Form::PreloadedCerts, "preloaded_certs", section.line());
    let certificates = section.texts_or_lists().into_iter();
    certificates
        .filter_map(|(id, At { value, line })| {
            let certificate = match value {
                TextOrTexts::Text(value) => {
                    PreloadedCertificate::File(file_at(&section, &id, At { value, line })?)
                }
                TextOrTexts::Texts(ids) => PreloadedCertificate::Bundle(ids),
            };
            Some((id, certificate))
        })
        .collect()
}

/// `[tpm]`.
pub(super) fn tpm(top: &Section<'_, '_>) -> Option<TpmSection> {
    let section = top.asking_section("tpm")?;
    let usual = TpmSettings::default();
    let tcti = match section.text("tcti") {
        None => usual.tcti,
        Some(At { value, line }) => value.parse().unwrap_or_else(|error: TctiError| {
            section.fault(line, format!("tpm.tcti: {error}"));
            Tcti::default()
        }),
    };
    let auth_key_index = auth_key_index(&section).unwrap_or(usual.auth_key_index);
    let (mut endorsement, mut owner) = (None, None);
    if let Some(authorization) = section.section("hierarchy_authorization") {
        endorsement = authorization.text("endorsement");
        owner = authorization.text("owner");
        authorization.finish();
    }
    let line = LineNumber(section.line());
    section.finish();
    let value = |at: Option<At<String>>| {
        at.map(|at| Authorization::new(&at.value))
            .unwrap_or_default()
    };
    let settings = TpmSettings {
        tcti,
        auth_key_index,
        owner: value(owner),
        endorsement: value(endorsement),
    };
    Some(TpmSection { settings, line })
}

/// A number, or a text as Azure's template shows it: `"0x00_01_00"`. What is wrong is a fault.
fn auth_key_index(section: &Section<'_, '_>) -> Option<u32> {
    let At { value, line } = section.text_or_unsigned("auth_key_index")?;
    let number = match &value {
        TextOrNumber::Number(number) => Some(*number),
        TextOrNumber::Text(text) => {
            let digits = text.replace('_', "");
            match digits.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => digits.parse().ok(),
            }
        }
    };
    let index = number
        .filter(|number| *number <= MAX_INDEX)
        .and_then(|number| u32::try_from(number).ok());
    if index.is_none() {
        let message = "tpm.auth_key_index: it has to be a number from 0 to 0x7FFFFF";
        section.fault(line, message);
    }
    let settings = TpmSettings {
        auth_key_index: index?,
        ..TpmSettings::default()
    };
    // The key of the service replaces what is at its handle.
    if let Err(error) = tpm::key_handle(settings.auth_key_handle()) {
        section.fault(line, format!("tpm.auth_key_index: {error}"));
    }
    index
}
