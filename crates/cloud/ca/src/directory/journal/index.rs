//! Finds the line of a certificate by its name and key.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ids::{CertificateSerial, Thumbprint, Timestamp};
use pki::Certificate;

use super::{IssuedLine, MAX_LINE};
use crate::CaError;

/// What makes two requests the same: the key, and the name in lower case, of one profile and CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::directory) struct KeyId(Thumbprint);

impl KeyId {
    pub(in crate::directory) fn of(certificate: &Certificate) -> Self {
        Self(pki::sha256(certificate.spki_der()))
    }

    pub(in crate::directory) fn of_spki(spki: &[u8]) -> Self {
        Self(pki::sha256(spki))
    }

    pub(in crate::directory) fn key(self) -> Thumbprint {
        self.0
    }
}

/// Where the newest line of a name and key is.
#[derive(Debug, Clone)]
pub(in crate::directory) struct Found {
    pub(in crate::directory) ca: Thumbprint,
    pub(in crate::directory) offset: u64,
    pub(in crate::directory) length: u32,
    pub(in crate::directory) not_after: Timestamp,
    pub(in crate::directory) serial: CertificateSerial,
}

#[derive(Debug, Default)]
pub(in crate::directory) struct IssuedIndex(HashMap<Thumbprint, Found>);

impl IssuedIndex {
    pub(in crate::directory) fn find(
        &self,
        ca: Thumbprint,
        profile: &str,
        name: &str,
        key: KeyId,
    ) -> Option<&Found> {
        self.0.get(&place(ca, profile, name, key.key()))
    }

    /// The newest certificate of each name and key that a CA issued.
    pub(in crate::directory) fn issued_by(&self, ca: Thumbprint) -> impl Iterator<Item = &Found> {
        self.0.values().filter(move |found| found.ca == ca)
    }
}

fn place(ca: Thumbprint, profile: &str, name: &str, key: Thumbprint) -> Thumbprint {
    let name = name.to_ascii_lowercase();
    let parts = [
        ca.as_bytes().as_slice(),
        key.as_bytes(),
        profile.as_bytes(),
        b"\0",
    ];
    pki::sha256(&[parts.concat(), name.into_bytes()].concat())
}

pub(super) fn read(path: &Path, file: &File, length: u64) -> Result<IssuedIndex, CaError> {
    let failed = |source| CaError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = file.try_clone().map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut reader = BufReader::with_capacity(1 << 20, file.take(length));
    let mut index = HashMap::new();
    let mut text = Vec::new();
    let (mut offset, mut number) = (0, 0);
    loop {
        text.clear();
        let mut one_line = (&mut reader).take(MAX_LINE);
        let read = one_line.read_until(b'\n', &mut text).map_err(failed)?;
        if read == 0 {
            return Ok(IssuedIndex(index));
        }
        number += 1;
        let line: Option<IssuedLine> = serde_json::from_slice(&text).ok();
        let line = line.and_then(|line| Some((CertificateSerial::parse(&line.serial).ok()?, line)));
        let (serial, line) = line.ok_or_else(|| CaError::Record {
            path: path.to_owned(),
            line: number,
        })?;
        let found = Found {
            ca: line.ca,
            offset,
            length: u32::try_from(read).unwrap_or(u32::MAX),
            not_after: line.not_after,
            serial,
        };
        index.insert(place(line.ca, &line.profile, &line.name, line.key), found);
        offset += read as u64;
    }
}
