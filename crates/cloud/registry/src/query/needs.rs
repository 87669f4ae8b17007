//! What a query has to know of each twin.

use store::TwinParts;

use super::ast::{Aggregate, Path, Query, Selected, Selection};

/// The parts of twins that paths lead into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    pub(crate) parts: TwinParts,
    /// Whether it is connected, and since when.
    pub(crate) connection: bool,
    /// The device of a module.
    pub(crate) device: bool,
}

impl Needs {
    /// What the condition, the groups and the members of rows look at. `SELECT *` asks for whole
    /// twins of what was found, and is not counted here.
    pub(crate) fn of_query(query: &Query) -> Self {
        let mut needs = Self::default();
        if let Some(condition) = &query.condition {
            condition.for_each_path(&mut |path| needs.add(path));
        }
        query.group_by.iter().for_each(|path| needs.add(path));
        let items = match &query.selection {
            Selection::All => &[][..],
            Selection::Items(items) => items,
        };
        for item in items {
            match &item.selected {
                Selected::Path(path)
                | Selected::Aggregate(
                    Aggregate::Average(path)
                    | Aggregate::Sum(path)
                    | Aggregate::Minimum(path)
                    | Aggregate::Maximum(path),
                ) => needs.add(path),
                Selected::Aggregate(Aggregate::Count) => {}
            }
        }
        needs
    }

    fn add(&mut self, path: &Path) {
        match path.root() {
            "tags" => self.parts.tags = true,
            "configurations" => self.parts.configurations = true,
            "properties" => {
                let half = path.name(1);
                self.parts.desired |= half != Some("reported");
                self.parts.reported |= half != Some("desired");
                self.parts.metadata |= path.segments.len() < 3 || path.name(2) == Some("$metadata");
            }
            "connectionState" | "lastActivityTime" | "modelId" | "cloudToDeviceMessageCount" => {
                self.connection = true;
            }
            "status" => self.device = true,
            _ => {}
        }
    }
}
