//! OpenSSL, file modes and a fixed time.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ca::{CaDirectory, CaError, IdentityKind, IdentityOptions, IssuedIdentity};
use ids::Timestamp;

/// 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

pub fn days(count: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.unix_seconds() + count * 86_400)
}

/// Issues one identity of an edge device.
pub fn issue(
    ca: &CaDirectory,
    name: &str,
    options: &IdentityOptions,
    now: Timestamp,
) -> Result<IssuedIdentity, CaError> {
    issue_kind(ca, &IdentityKind::EdgeIdentity, name, options, now)
}

pub fn issue_kind(
    ca: &CaDirectory,
    kind: &IdentityKind,
    name: &str,
    options: &IdentityOptions,
    now: Timestamp,
) -> Result<IssuedIdentity, CaError> {
    let outcome = ca.issue(kind, &[name.to_owned()], options, now, &|| {})?;
    Ok(outcome.issued.into_iter().next().unwrap())
}

/// Runs OpenSSL; its standard output when it succeeds, its complaint when not.
pub fn openssl(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("these tests need the openssl command; on Debian: apt-get install openssl");
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The certificate in OpenSSL's words.
pub fn text(certificate: &Path) -> String {
    openssl(&["x509", "-noout", "-text", "-in", path(certificate)]).unwrap()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// The whole error, causes included.
pub fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Whether OpenSSL accepts `leaf` as a TLS client below `root`, with the certificates
/// of `chain` between them.
pub fn verified_by_openssl(root: &Path, chain: &Path, leaf: &Path) -> Result<String, String> {
    let at = NOW.unix_seconds().to_string();
    openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-attime",
        &at,
        "-CAfile",
        path(root),
        "-untrusted",
        path(chain),
        path(leaf),
    ])
}
