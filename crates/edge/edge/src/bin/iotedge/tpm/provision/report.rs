//! What each step did, for people and programs.

use std::process::ExitCode;

use ids::error_chain;
use serde_json::{Value, json};

use crate::output::{self, Format};

/// A step, in the order in which they follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Tpm,
    Genuineness,
    IdevidKey,
    IdevidCertificate,
    LdevidKey,
    LdevidCertificate,
    Configuration,
    Apply,
}

impl Step {
    /// Its name for programs, what it is for people, and the exit code when it fails.
    fn about(self) -> (&'static str, &'static str, u8) {
        match self {
            Self::Tpm => ("tpm", "TPM", 11),
            Self::Genuineness => ("genuineness", "Genuineness", 12),
            Self::IdevidKey => ("idevid-key", "Key of the first certificate", 13),
            Self::IdevidCertificate => ("idevid-certificate", "First certificate (IDevID)", 14),
            Self::LdevidKey => ("ldevid-key", "Key of the device", 15),
            Self::LdevidCertificate => (
                "ldevid-certificate",
                "Certificate of the device (LDevID)",
                16,
            ),
            Self::Configuration => ("configuration", "config.toml", 17),
            Self::Apply => ("apply", "Apply", 18),
        }
    }

    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.about().2)
    }
}

/// How a step ended well, with what there is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Now(String),
    /// An earlier run did it.
    Already(String),
    /// It is left out, and why.
    Skipped(String),
}

/// The steps so far.
pub struct Report {
    format: Format,
    steps: Vec<Value>,
}

/// What a step gives to those that follow.
pub type Outcome<T> = anyhow::Result<(T, Done)>;

impl Report {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            steps: Vec::new(),
        }
    }

    /// Notes and shows how a step ended. A failure names the step.
    pub fn note<T>(&mut self, step: Step, outcome: Outcome<T>) -> Result<T, Step> {
        let (value, state, text) = match outcome {
            Ok((value, Done::Now(text))) => (Some(value), "done", text),
            Ok((value, Done::Already(text))) => (Some(value), "already", text),
            Ok((value, Done::Skipped(text))) => (Some(value), "skipped", text),
            Err(error) => (None, "failed", error_chain(&*error)),
        };
        let (id, name, _) = step.about();
        if self.format == Format::Text {
            // The reader may have gone; the steps go on.
            let _ = output::text([format!("{name}: {state}: {text}")]);
        }
        self.steps
            .push(json!({ "step": id, "state": state, "text": text }));
        value.ok_or(step)
    }

    /// Prints all steps at once for programs.
    pub fn print(self) -> anyhow::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => output::json(&json!({ "steps": self.steps })),
        }
    }
}
