//! Big-endian fields out of bytes from outside.

/// The bytes end before the field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort;

/// What is left of the bytes of a structure.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], TooShort> {
        let (taken, left) = self.0.split_at_checked(length).ok_or(TooShort)?;
        self.0 = left;
        Ok(taken)
    }

    /// A `UINT16`.
    pub fn u16(&mut self) -> Result<u16, TooShort> {
        let (taken, left) = self.0.split_first_chunk().ok_or(TooShort)?;
        self.0 = left;
        Ok(u16::from_be_bytes(*taken))
    }

    /// A `UINT32`.
    pub fn u32(&mut self) -> Result<u32, TooShort> {
        let (taken, left) = self.0.split_first_chunk().ok_or(TooShort)?;
        self.0 = left;
        Ok(u32::from_be_bytes(*taken))
    }

    /// A `TPM2B`: two bytes of length, then that many.
    pub fn sized(&mut self) -> Result<&'a [u8], TooShort> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Everything that was not read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
