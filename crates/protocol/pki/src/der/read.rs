use ids::Timestamp;

use super::{tag, time};

/// Why bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// An element says that it is longer than the bytes that are there.
    #[error("it ends too early")]
    EndsEarly,
    /// A length that is indefinite, not minimal, or above 4 GiB.
    #[error("a length is not encoded as DER wants it")]
    Length,
    /// Another element than the one that has to be there.
    #[error("an element with the tag {found:#04x} is not expected where it is")]
    Tag {
        /// The identifier byte that was found.
        found: u8,
    },
    /// Bytes follow the last element.
    #[error("{0} bytes follow it")]
    Trailing(usize),
    /// An element's content is not a value of its type.
    #[error("the content of {0} is malformed")]
    Value(&'static str),
}

/// One element: identifier, length and content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// One extension of a certificate, a CRL, an entry of it, or an OCSP message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

/// Reads elements one after another; borrows, never copies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next element of any tag; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, DerError> {
        let Some(&tag) = self.0.first() else {
            return Ok(None);
        };
        if tag & 0x1f == 0x1f {
            return Err(DerError::Tag { found: tag });
        }
        let (header, length) = length(self.0)?;
        let end = header.checked_add(length).ok_or(DerError::Length)?;
        let whole = self.0.get(..end).ok_or(DerError::EndsEarly)?;
        self.0 = &self.0[end..];
        let content = &whole[header..];
        Ok(Some(Element {
            tag,
            whole,
            content,
        }))
    }

    pub(crate) fn read(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        match self.0.first() {
            None => Err(DerError::EndsEarly),
            Some(&found) if found != tag => Err(DerError::Tag { found }),
            Some(_) => self.next()?.ok_or(DerError::EndsEarly),
        }
    }

    /// The next element when it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        match self.0.first() {
            Some(&found) if found == tag => self.next(),
            _ => Ok(None),
        }
    }

    /// A reader of the content of the next element, which must have this tag.
    pub(crate) fn nested(&mut self, tag: u8) -> Result<Self, DerError> {
        Ok(Self(self.read(tag)?.content))
    }

    /// A reader of the only element, which must have this tag.
    pub(crate) fn only(der: &'a [u8], tag: u8) -> Result<Self, DerError> {
        let mut outer = Self(der);
        let inside = outer.nested(tag)?;
        outer.end()?;
        Ok(inside)
    }

    /// UTCTime or GeneralizedTime as RFC 5280 wants them: in seconds, `Z`.
    pub(crate) fn time(&mut self) -> Result<Timestamp, DerError> {
        let element = self.next()?.ok_or(DerError::EndsEarly)?;
        let digits = match element.tag {
            tag::UTC_TIME | tag::GENERALIZED_TIME => element.content,
            found => return Err(DerError::Tag { found }),
        };
        time::parse(element.tag, digits).ok_or(DerError::Value("a time"))
    }

    /// The content of an INTEGER, in the fewest bytes that hold it.
    pub(crate) fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.read(tag::INTEGER)?.content;
        let is_minimal = match content {
            [] => false,
            [0, next, ..] => *next >= 0x80,
            [0xff, next, ..] => *next < 0x80,
            _ => true,
        };
        is_minimal
            .then_some(content)
            .ok_or(DerError::Value("an INTEGER"))
    }

    /// The next Extension of a list of them: its OID, whether it is critical, its value.
    pub(crate) fn extension(&mut self) -> Result<Option<Extension<'a>>, DerError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut fields = self.nested(tag::SEQUENCE)?;
        let oid = fields.read(tag::OID)?.content;
        let critical = fields.default_false()?;
        let value = fields.read(tag::OCTET_STRING)?.content;
        fields.end()?;
        Ok(Some(Extension {
            oid,
            critical,
            value,
        }))
    }

    /// The next BOOLEAN when there is one; `false` stands for one that is left out.
    pub(crate) fn default_false(&mut self) -> Result<bool, DerError> {
        match self.optional(tag::BOOLEAN)?.map(|element| element.content) {
            None => Ok(false),
            Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(DerError::Value("a BOOLEAN")),
        }
    }

    /// The bytes of a BIT STRING without unused bits.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.read(tag::BIT_STRING)?.content;
        content
            .strip_prefix(&[0])
            .ok_or(DerError::Value("a BIT STRING"))
    }

    pub(crate) fn end(self) -> Result<(), DerError> {
        match self.0.len() {
            0 => Ok(()),
            bytes => Err(DerError::Trailing(bytes)),
        }
    }
}

/// The content of an INTEGER without its sign byte: as serial numbers are compared.
pub(crate) fn unsigned(content: &[u8]) -> &[u8] {
    match content {
        [0, digits @ ..] if !digits.is_empty() => digits,
        all => all,
    }
}

/// The length of the header of the first element, and of its content.
fn length(der: &[u8]) -> Result<(usize, usize), DerError> {
    let first = *der.get(1).ok_or(DerError::EndsEarly)?;
    if first < 0x80 {
        return Ok((2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(DerError::Length);
    }
    let digits = der.get(2..2 + count).ok_or(DerError::EndsEarly)?;
    let length = digits
        .iter()
        .fold(0, |sum: usize, digit| sum << 8 | usize::from(*digit));
    if digits[0] == 0 || length < 0x80 {
        return Err(DerError::Length);
    }
    Ok((2 + count, length))
}
