use registry::Right;
use wire::service_api::identity::KeyText;

/// The rights that a provisioning service knows.
const PROVISIONING_RIGHTS: [Right; 6] = [
    Right::ServiceConfig,
    Right::EnrollmentRead,
    Right::EnrollmentWrite,
    Right::RegistrationStatusRead,
    Right::RegistrationStatusWrite,
    Right::DeviceConnect,
];

fn rights_text() -> String {
    PROVISIONING_RIGHTS.map(Right::name).join(", ")
}

/// A shared access policy of a provisioning service about to be made.
/// Only [`PolicyDraft::new`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDraft {
    name: String,
    rights: Vec<Right>,
    keys: [Option<KeyText>; 2],
}

/// Why a policy is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyDraftError {
    /// Its name is not usable in connection strings.
    #[error(
        "a policy's name has 1 to 64 ASCII letters, digits and - _ . and not {found:?}",
        found = name.chars().take(80).collect::<String>()
    )]
    Name { name: String },
    #[error("a policy has at least one right of {}", rights_text())]
    NoRight,
    /// A right that a provisioning service does not know.
    #[error(
        "{name:?} is not a right of a provisioning service; these are: {}",
        rights_text()
    )]
    Right { name: String },
}

impl PolicyDraft {
    /// Checks name and rights. Keys that are `None` will be generated.
    ///
    /// # Errors
    /// When the name cannot stand in a connection string, or the rights are none or
    /// not a provisioning service's.
    pub fn new(
        name: &str,
        rights: &[String],
        keys: [Option<KeyText>; 2],
    ) -> Result<Self, PolicyDraftError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            let name = name.to_owned();
            return Err(PolicyDraftError::Name { name });
        }
        let known = |text: &String| {
            Right::named(text)
                .filter(|right| PROVISIONING_RIGHTS.contains(right))
                .ok_or_else(|| PolicyDraftError::Right {
                    name: text.chars().take(80).collect(),
                })
        };
        let mut rights = rights.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        rights.sort_unstable();
        rights.dedup();
        match rights.is_empty() {
            true => Err(PolicyDraftError::NoRight),
            false => Ok(Self {
                name: name.to_owned(),
                rights,
                keys,
            }),
        }
    }

    pub(crate) fn into_parts(self) -> (String, Vec<Right>, [Option<KeyText>; 2]) {
        (self.name, self.rights, self.keys)
    }
}

/// One of a policy's two keys, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// A fresh primary key.
    Primary,
    /// A fresh secondary key.
    Secondary,
    /// The two change places.
    Swap,
}
