use serde_json::{Map, Value};

use super::{Owned, Path, Settings};
use crate::deployment::ConfigurationError;
use crate::twin::{TwinError, require_desired};

/// What every key begins with.
const DESIRED: &str = "properties.desired";

/// `deviceContent` or `moduleContent` that has been checked: paths below `properties.desired`, and
/// what each is set to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SettingsContent(Vec<(Path, Value)>);

impl SettingsContent {
    /// Checks the paths, and that a twin can hold the values. `root` is the member of `content`.
    pub(crate) fn parse(root: &str, members: &Value) -> Result<Self, ConfigurationError> {
        let content = Self::read(root, members)?;
        let alone = Settings {
            values: content.0.iter().cloned().collect(),
            ..Settings::default()
        };
        let (desired, _) = alone.lay(&Map::new(), &Owned::default());
        match require_desired(&desired) {
            Ok(()) => Ok(content),
            Err(TwinError::Invalid { path, problem }) => {
                Err(fault(&format!("{root}.{path}"), problem))
            }
            Err(other) => Err(fault(root, other.to_string())),
        }
    }

    /// Like [`parse`](Self::parse), without the limits of twins: for what is stored, perhaps by a
    /// version that knew others.
    pub(crate) fn read(root: &str, members: &Value) -> Result<Self, ConfigurationError> {
        let members = members
            .as_object()
            .ok_or_else(|| fault(root, "an object was expected"))?;
        let mut settings = Vec::new();
        for (key, value) in members {
            let at = format!("{root}.{key}");
            match (key.strip_prefix(DESIRED), value) {
                // The whole section stands for its members: what an operator wrote beside them
                // stays.
                (Some(""), Value::Object(inner)) => {
                    let member =
                        |(name, value): (&String, &Value)| (vec![name.clone()], value.clone());
                    settings.extend(inner.iter().map(member));
                }
                (Some(""), _) => return Err(fault(&at, "an object was expected")),
                (Some(rest), _) if rest.starts_with('.') => {
                    settings.push((path(&at, &rest[1..])?, value.clone()));
                }
                _ => {
                    return Err(fault(
                        &at,
                        "a key that begins with 'properties.desired.' was expected",
                    ));
                }
            }
        }
        settings.sort_by(|(a, _), (b, _)| a.cmp(b));
        match settings.windows(2).find(|two| two[0].0 == two[1].0) {
            Some(two) => Err(fault(
                &format!("{root}.{DESIRED}.{}", two[0].0.join(".")),
                "is set twice",
            )),
            None => Ok(Self(settings)),
        }
    }

    /// What each path is set to, a path before those below it.
    pub(super) fn settings(&self) -> impl DoubleEndedIterator<Item = (&Path, &Value)> {
        self.0.iter().map(|(path, value)| (path, value))
    }
}

fn path(at: &str, dotted: &str) -> Result<Path, ConfigurationError> {
    let names: Path = dotted.split('.').map(str::to_owned).collect();
    match names.iter().any(String::is_empty) {
        true => Err(fault(at, "has an empty name between its dots")),
        false => Ok(names),
    }
}

fn fault(path: &str, problem: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Content {
        path: path.to_owned(),
        problem: problem.into(),
    }
}
