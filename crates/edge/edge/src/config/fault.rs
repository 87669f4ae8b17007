//! Faults of a configuration, and the lines where they are.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    /// Works, but has a consequence that the owner should know.
    Warning,
    Error,
}

/// A line of `config.toml`, from 1.
///
/// Lines are for messages. Two configurations that differ in lines only are equal, so that
/// nothing restarts when a comment is added.
#[derive(Debug, Clone, Copy)]
pub struct LineNumber(pub usize);

impl PartialEq for LineNumber {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LineNumber {}

impl From<LineNumber> for Option<usize> {
    fn from(line: LineNumber) -> Self {
        Some(line.0)
    }
}

/// A fault of a configuration, with its line and the way to correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of `config.toml`, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    pub severity: Severity,
    pub message: String,
}

impl Fault {
    pub(crate) fn error(line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self::new(line, Severity::Error, message)
    }

    pub(crate) fn warning(line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self::new(line, Severity::Warning, message)
    }

    pub(crate) fn note(line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self::new(line, Severity::Note, message)
    }

    fn new(line: impl Into<Option<usize>>, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            severity,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Whether none of the faults is an error.
#[must_use]
pub fn acceptable(faults: &[Fault]) -> bool {
    faults.iter().all(|fault| fault.severity < Severity::Error)
}
