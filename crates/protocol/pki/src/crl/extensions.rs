use x509_parser::der_parser::Oid;

use super::oid;
use super::read::{CrlError, CrlNumber};
use crate::der::{DerError, Extension, Reader, tag};

/// What the extensions of a list say.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) number: Option<CrlNumber>,
    pub(super) authority_key_id: Option<Box<[u8]>>,
    /// The first URL of the issuingDistributionPoint.
    pub(super) distribution_point: Option<String>,
}

impl Extensions {
    pub(super) fn read(mut list: Reader<'_>) -> Result<Self, CrlError> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        while let Some(extension) = list.extension()? {
            if seen.contains(&extension.oid) {
                return Err(DerError::Value("the extensions, where one appears twice").into());
            }
            seen.push(extension.oid);
            found.add(extension)?;
        }
        Ok(found)
    }

    fn add(&mut self, extension: Extension<'_>) -> Result<(), CrlError> {
        let Extension {
            oid,
            critical,
            value,
        } = extension;
        match oid {
            oid::CRL_NUMBER if critical => return Err(CrlError::NumberCritical),
            oid::CRL_NUMBER => {
                let mut number = Reader::new(value);
                self.number = Some(CrlNumber::new(number.integer()?));
                number.end()?;
            }
            oid::AUTHORITY_KEY_IDENTIFIER => {
                let mut identifiers = Reader::only(value, tag::SEQUENCE)?;
                let key = identifiers.optional(tag::context(0))?;
                self.authority_key_id = key.map(|key| key.content.into());
            }
            oid::ISSUING_DISTRIBUTION_POINT => {
                self.distribution_point = distribution_point(value)?;
            }
            oid::DELTA_CRL_INDICATOR => return Err(CrlError::Delta),
            _ if critical => return Err(not_understood(oid)),
            _ => {}
        }
        Ok(())
    }
}

/// The URL of an issuingDistributionPoint that leaves no certificates of its CA out, except those
/// of other distribution points.
fn distribution_point(value: &[u8]) -> Result<Option<String>, CrlError> {
    let mut fields = Reader::only(value, tag::SEQUENCE)?;
    let mut url = None;
    while let Some(field) = fields.next()? {
        let is_set = field.content == [0xff];
        match field.tag & 0x1f {
            0 => url = full_name(field.content)?,
            1 if is_set => return Err(CrlError::Partial("certificates that are not of CAs")),
            2 if is_set => return Err(CrlError::Partial("certificates of CAs")),
            3 => return Err(CrlError::Partial("some reasons")),
            4 if is_set => return Err(CrlError::Indirect),
            5 if is_set => return Err(CrlError::Partial("attribute certificates")),
            1 | 2 | 4 | 5 => {}
            _ => return Err(DerError::Tag { found: field.tag }.into()),
        }
    }
    Ok(url)
}

fn full_name(name: &[u8]) -> Result<Option<String>, DerError> {
    let mut choices = Reader::new(name);
    let Some(names) = choices.optional(tag::context_constructed(0))? else {
        return Ok(None);
    };
    let mut names = Reader::new(names.content);
    while let Some(name) = names.next()? {
        if name.tag == tag::context(6) {
            return Ok(Some(String::from_utf8_lossy(name.content).into_owned()));
        }
    }
    Ok(None)
}

pub(super) fn not_understood(oid: &[u8]) -> CrlError {
    CrlError::Critical(Oid::new(oid.into()).to_id_string())
}
