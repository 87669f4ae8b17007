//! Files with certificates. A file with more certificates than needed is refused, with their names,
//! and not cut down to the first one.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use pki::Certificate;

use crate::service_client::CommandError;

/// Bytes: more than a thousand certificates have.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The one certificate of a file, PEM or DER.
pub fn one(path: &Path) -> anyhow::Result<Certificate> {
    let bytes = read(path)?;
    of(path, Certificate::parse_one(&bytes))
}

/// A device's own certificate, alone or followed by its issuers as in a full-chain file.
pub fn leaf(path: &Path) -> anyhow::Result<Certificate> {
    first(path, |certificate| !certificate.is_ca())
}

/// A certificate of any kind, alone or followed by its issuers as in a full-chain file.
pub fn first_of_chain(path: &Path) -> anyhow::Result<Certificate> {
    first(path, |_| true)
}

/// The first certificate of a chain, if it is one that is `wanted`; otherwise the only one.
fn first(path: &Path, wanted: impl Fn(&Certificate) -> bool) -> anyhow::Result<Certificate> {
    let bytes = read(path)?;
    let all = of(path, Certificate::read_all(&bytes))?;
    let is_chain = all.len() > 1
        && all.iter().skip(1).all(Certificate::is_ca)
        && all
            .windows(2)
            .all(|pair| pair[0].is_issued_by_name(&pair[1]));
    match all.first() {
        Some(first) if is_chain && wanted(first) => Ok(first.clone()),
        _ => of(path, Certificate::parse_one(&bytes)),
    }
}

/// Every certificate of a file.
pub fn all(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let bytes = read(path)?;
    of(path, Certificate::read_all(&bytes))
}

/// The PEM text of a file. The service checks its content.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path)?;
    of(path, Certificate::file_to_pem(&bytes))
}

fn of<T>(path: &Path, parsed: Result<T, pki::PemError>) -> anyhow::Result<T> {
    let unusable = || format!("the certificate file {} cannot be used", path.display());
    Ok(parsed.with_context(unusable).map_err(CommandError::Input)?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read the certificate file {}", path.display());
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read()
        .with_context(unreadable)
        .map_err(CommandError::Input)?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!(
            "{} is longer than {MAX_BYTES} bytes; is this the certificate file?",
            path.display()
        );
        return Err(CommandError::Usage(problem).into());
    }
    Ok(bytes)
}
