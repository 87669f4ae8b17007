/// The twin of an identity. Documents are JSON texts; `None` stands for `{}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TwinRow {
    /// One more with every change of any part.
    pub version: u64,
    /// One more with every change of `desired`.
    pub desired_version: u64,
    /// One more with every change of `reported`.
    pub reported_version: u64,
    /// When the documents were last written whole, 100 ns since 1970.
    pub written: i64,
    pub tags: Option<String>,
    pub desired: Option<String>,
    pub reported: Option<String>,
    /// Configuration id to status.
    pub configurations: Option<String>,
    /// `None` when every property dates from `written`.
    pub desired_metadata: Option<String>,
    /// `None` when every property dates from `written`.
    pub reported_metadata: Option<String>,
    /// Documents that were left out because they are too large to be read where others wait.
    pub oversized: Oversized,
}

/// Documents of a twin that are larger than 256 KiB as they are stored: several times
/// what the rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oversized {
    pub tags: bool,
    pub desired: bool,
    pub reported: bool,
}

impl Oversized {
    /// One that is, in words.
    #[must_use]
    pub fn part(self) -> Option<&'static str> {
        match self {
            Self { reported: true, .. } => Some("reported properties"),
            Self { desired: true, .. } => Some("desired properties"),
            Self { tags: true, .. } => Some("tags"),
            _ => None,
        }
    }
}

/// A new state of `desired` or `reported`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionWrite {
    pub document: String,
    pub metadata: String,
    pub version: u64,
}

/// What changes of a twin; `None` parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TwinWrite {
    pub version: u64,
    pub tags: Option<String>,
    pub desired: Option<SectionWrite>,
    pub reported: Option<SectionWrite>,
    /// Configuration id to status, JSON.
    pub configurations: Option<String>,
}

/// Which documents of twins are read. Metadata is that of the sections that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TwinParts {
    pub tags: bool,
    pub desired: bool,
    pub reported: bool,
    pub configurations: bool,
    pub metadata: bool,
}

impl TwinParts {
    /// The whole twin.
    pub const ALL: Self = Self {
        tags: true,
        desired: true,
        reported: true,
        configurations: true,
        metadata: true,
    };
}

/// Device ids from one to another, both included. They compare by bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRange {
    pub from: String,
    pub to: String,
}

impl DeviceRange {
    /// All devices: ids are of ASCII, and this is its last character.
    #[must_use]
    pub fn all() -> Self {
        Self {
            from: String::new(),
            to: "\u{7f}".to_owned(),
        }
    }
}
