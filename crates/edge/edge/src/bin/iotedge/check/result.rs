//! The result of a check.

pub struct Checked {
    pub section: &'static str,
    /// Azure's id, if Azure has the check.
    pub id: &'static str,
    pub description: &'static str,
    pub outcome: Outcome,
}

/// The outcome with its reason.
pub enum Outcome {
    Ok(Option<String>),
    Warning(String),
    Error(String),
    /// A check that it depends on has failed.
    Skipped(String),
}

impl Outcome {
    /// The word in Azure's JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Warning(_) => "warning",
            Self::Error(_) => "error",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The mark and the word in Azure's text.
    pub fn symbol_and_word(&self) -> (&'static str, &'static str) {
        match self {
            Self::Ok(_) => ("√", "OK"),
            Self::Warning(_) => ("‼", "Warning"),
            Self::Error(_) => ("×", "Error"),
            Self::Skipped(_) => ("‼", "Skipped"),
        }
    }

    /// Why, in lines.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        let text = match self {
            Self::Ok(text) => text.as_deref(),
            Self::Warning(text) | Self::Error(text) | Self::Skipped(text) => Some(text.as_str()),
        };
        text.into_iter().flat_map(str::lines)
    }
}

/// An error with its causes, a line each.
pub fn error_lines(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str("\ncaused by: ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
