/// The outcomes of a cloud-to-device message that its sender gets feedback about: the values of
/// `iothub-ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// No outcome.
    #[default]
    None,
    /// When the device completed the message.
    Positive,
    /// When the message was not completed.
    Negative,
    /// In either case.
    Full,
}

impl Ack {
    const ALL: [Self; 4] = [Self::None, Self::Positive, Self::Negative, Self::Full];

    /// The value as it stands in headers and rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Full => "full",
        }
    }

    /// Reads a value, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|ack| ack.name().eq_ignore_ascii_case(name))
    }

    /// Whether the sender gets feedback about a message that was completed, or was not.
    #[must_use]
    pub fn wants(self, completed: bool) -> bool {
        match self {
            Self::None => false,
            Self::Positive => completed,
            Self::Negative => !completed,
            Self::Full => true,
        }
    }
}
