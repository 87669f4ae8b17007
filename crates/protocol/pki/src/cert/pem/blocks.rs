//! The blocks of a PEM text, none of them skipped.
//!
//! PEM libraries look for markers at the start of a line and skip what they do not know. A byte
//! order mark before the first marker then makes them hand over the second certificate as if it
//! were the first: the wrong CA is trusted. Here a marker is found wherever it is, and what looks
//! like a block but cannot be read is an error.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::PemError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Longest label: those in use have at most 30 characters.
const MAX_LABEL: usize = 64;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One block. Its content is decoded when it is wanted: that of a private key never is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    /// What stands between `BEGIN` and the dashes.
    pub(crate) label: &'a str,
    /// The line of its beginning, counted from 1.
    pub(crate) line: usize,
    body: &'a str,
}

impl Block<'_> {
    /// The bytes in it.
    pub(crate) fn der(&self) -> Result<Vec<u8>, PemError> {
        decode(self.body).ok_or_else(|| {
            let (label, line) = (self.label, self.line);
            PemError::Broken(format!("the {label} block of line {line} is not Base64"))
        })
    }
}

/// Base64 with any white space in it; `\n` in two characters is white space too, as in
/// environment variables and JSON.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_space = |c: &char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
    let mut packed: String = text.chars().filter(|c| !is_space(c)).collect();
    if packed.contains('\\') {
        packed = packed.replace("\\r", "").replace("\\n", "");
    }
    BASE64.decode(packed).ok()
}

/// Takes a text apart. What stands around the blocks does not matter, unless it looks
/// like a block itself.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, PemError> {
    let mut scan = Scan {
        text,
        at: 0,
        line: 1,
    };
    let mut found = Vec::new();
    while let Some(block) = scan.next()? {
        found.push(block);
    }
    Ok(found)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Result<Option<Block<'a>>, PemError> {
        let rest = self.rest();
        let begin = rest.find(BEGIN).unwrap_or(rest.len());
        let line = refuse_hidden(&rest[..begin], self.line)?;
        if begin == rest.len() {
            return Ok(None);
        }
        self.advance(begin + BEGIN.len());
        let label = self.label().ok_or(PemError::Marker { line })?;
        let body_at = self.at;
        let unended = || {
            PemError::Broken(format!(
                "the {label} block of line {line} does not end with {END}{label}{DASHES}"
            ))
        };
        // The next marker of any kind must be this block's end: whatever else it is, a block would
        // be swallowed.
        let dashes = self.rest().find(DASHES).ok_or_else(unended)?;
        let body = &self.text[body_at..body_at + dashes];
        self.advance(dashes);
        if !self.rest().starts_with(END) {
            return Err(unended());
        }
        self.advance(END.len());
        if self.label() != Some(label) {
            return Err(unended());
        }
        Ok(Some(Block { label, line, body }))
    }

    /// The label that begins here, and the dashes after it.
    fn label(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest.find(DASHES)?;
        let label = &rest[..end];
        if end > MAX_LABEL || label.chars().any(char::is_control) {
            return None;
        }
        self.advance(end + DASHES.len());
        Some(label.trim())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.text[self.at..self.at + bytes];
        self.line += passed.matches('\n').count();
        self.at += bytes;
    }
}

/// Looks for certificates in what stands between blocks: markers that are mistyped, and Base64 that
/// has lost its markers. Gives the number of the last line.
fn refuse_hidden(between: &str, first: usize) -> Result<usize, PemError> {
    let mut last = first;
    for (line, text) in (first..).zip(between.split('\n')) {
        last = line;
        if text.contains(END) || is_mistyped_marker(text) {
            return Err(PemError::Marker { line });
        }
        if is_bare(text) {
            return Err(PemError::Bare { line });
        }
    }
    Ok(last)
}

/// `----BEGIN CERTIFICATE----`, `–––––BEGIN CERTIFICATE–––––`, `-----begin certificate-----`.
fn is_mistyped_marker(line: &str) -> bool {
    let is_dash = |c: char| matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ad}');
    let line = line.to_uppercase();
    ["BEGIN", "END"].iter().any(|word| {
        line.match_indices(word).any(|(at, word)| {
            let before = line[..at].trim_end();
            let after = line[at + word.len()..].trim_start();
            let label = after.split(is_dash).next().unwrap_or_default().trim();
            before.ends_with(is_dash)
                && (super::is_certificate(label) || super::holds_certificates(label))
        })
    })
}

/// A line of the Base64 of a SEQUENCE that is as long as a certificate. Never shown: it may be
/// of a private key.
fn is_bare(line: &str) -> bool {
    const SHORTEST: usize = 48;
    let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    line.len() >= SHORTEST && line.starts_with("MI") && line.chars().all(is_base64)
}
