use ids::Timestamp;

use super::{tag, time};

/// Appends elements. An element that holds others is closed when its closure ends; its content then
/// moves by the bytes of its length, once for each level.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written since the writer had this length.
    pub(crate) fn since(&self, length: usize) -> &[u8] {
        &self.0[length..]
    }

    pub(crate) fn element(&mut self, tag: u8, content: &[u8]) {
        self.0.push(tag);
        let (bytes, count) = length(content.len());
        self.0.extend_from_slice(&bytes[..count]);
        self.0.extend_from_slice(content);
    }

    pub(crate) fn nest<T>(&mut self, tag: u8, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(tag);
        let at = self.0.len();
        let outcome = inside(self);
        let (bytes, count) = length(self.0.len() - at);
        self.0.splice(at..at, bytes.into_iter().take(count));
        outcome
    }

    pub(crate) fn sequence<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.nest(tag::SEQUENCE, inside)
    }

    /// Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }.
    pub(crate) fn extension(&mut self, oid: &[u8], critical: bool, value: impl FnOnce(&mut Self)) {
        self.sequence(|der| {
            der.element(tag::OID, oid);
            if critical {
                der.element(tag::BOOLEAN, &[0xff]);
            }
            der.nest(tag::OCTET_STRING, value);
        });
    }

    /// Elements that are DER already.
    pub(crate) fn raw(&mut self, der: &[u8]) {
        self.0.extend_from_slice(der);
    }

    /// An INTEGER that is not negative, from its bytes, the highest first.
    pub(crate) fn unsigned(&mut self, bytes: &[u8]) {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = &bytes[zeros..];
        let sign = digits.first().is_none_or(|first| *first >= 0x80);
        self.0.push(tag::INTEGER);
        let (length, count) = length(digits.len() + usize::from(sign));
        self.0.extend_from_slice(&length[..count]);
        if sign {
            self.0.push(0);
        }
        self.0.extend_from_slice(digits);
    }

    pub(crate) fn bit_string(&mut self, bytes: &[u8]) {
        self.0.push(tag::BIT_STRING);
        let (length, count) = length(bytes.len() + 1);
        self.0.extend_from_slice(&length[..count]);
        self.0.push(0);
        self.0.extend_from_slice(bytes);
    }

    /// As dates stand in certificates and CRLs: UTCTime until 2049 (RFC 5280, 4.1.2.5).
    pub(crate) fn time(&mut self, moment: Timestamp) {
        let digits = time::digits(moment);
        if time::is_utc_time(&digits) {
            self.element(tag::UTC_TIME, &digits[2..]);
        } else {
            self.element(tag::GENERALIZED_TIME, &digits);
        }
    }

    pub(crate) fn generalized_time(&mut self, moment: Timestamp) {
        self.element(tag::GENERALIZED_TIME, &time::digits(moment));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// The bytes of a length, and how many of them count.
fn length(length: usize) -> ([u8; 9], usize) {
    let mut bytes = [0; 9];
    if length < 0x80 {
        bytes[0] = u8::try_from(length).unwrap_or_default();
        return (bytes, 1);
    }
    let digits = length.to_be_bytes();
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let count = digits.len() - zeros;
    bytes[0] = 0x80 | u8::try_from(count).unwrap_or_default();
    bytes[1..=count].copy_from_slice(&digits[zeros..]);
    (bytes, count + 1)
}
