//! The rows of a query's answer: members of single twins, or totals of groups.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::ast::{Aggregate, Path, SelectItem, Selected};
use super::evaluate::Scope;
use super::value::Value;

/// Most groups of an answer.
pub(crate) const MAX_GROUPS: usize = 10_000;
/// Most bytes of what tells the groups apart, and of the strings that are their least and greatest.
const MAX_BYTES: usize = 8 << 20;

/// An answer would have more groups, or longer strings, than fit into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyGroups;

/// The row of a twin. What is undefined is left out.
pub(crate) fn row(items: &[SelectItem], scope: &impl Scope) -> Json {
    let member = |item: &SelectItem| match &item.selected {
        Selected::Path(path) => Some((item.name.clone(), scope.resolve(path).into_json()?)),
        Selected::Aggregate(_) => None,
    };
    Json::Object(items.iter().filter_map(member).collect())
}

/// Totals of the groups of a query; of all rows when it has no `GROUP BY`.
#[derive(Debug)]
pub(crate) struct Groups {
    items: Vec<SelectItem>,
    by: Vec<Path>,
    /// By the values of the group, as JSON.
    groups: BTreeMap<String, Group>,
    /// Of keys and strings.
    bytes: usize,
}

#[derive(Debug)]
struct Group {
    values: Vec<Option<Json>>,
    /// One for each item.
    totals: Vec<Total>,
}

/// What an item is made of.
#[derive(Debug, Clone)]
enum Total {
    /// A member that the group has in common.
    Common,
    Count(u64),
    Sum(f64),
    Average {
        sum: f64,
        numbers: u64,
    },
    Minimum(Extreme),
    Maximum(Extreme),
}

/// The least or the greatest of the numbers; of the strings when there are no numbers.
#[derive(Debug, Clone, Default)]
enum Extreme {
    #[default]
    None,
    Number(f64),
    Text(Box<str>),
}

impl Groups {
    pub(crate) fn new(items: &[SelectItem], by: &[Path]) -> Self {
        let mut groups = Self {
            items: items.to_vec(),
            by: by.to_vec(),
            groups: BTreeMap::new(),
            bytes: 0,
        };
        if by.is_empty() {
            // Totals of no rows are an answer, too.
            groups
                .groups
                .insert(String::new(), groups.empty(Vec::new()));
        }
        groups
    }

    fn empty(&self, values: Vec<Option<Json>>) -> Group {
        Group {
            values,
            totals: self.items.iter().map(Total::of).collect(),
        }
    }

    pub(crate) fn add(&mut self, scope: &impl Scope) -> Result<(), TooManyGroups> {
        let values: Vec<_> = self
            .by
            .iter()
            .map(|path| scope.resolve(path).into_json())
            .collect();
        let key = match values.is_empty() {
            true => String::new(),
            // An undefined value is no value in the list, which none that is defined looks like.
            false => values.iter().fold(String::new(), |key, value| {
                key + &value.as_ref().map(Json::to_string).unwrap_or_default() + "\n"
            }),
        };
        if !self.groups.contains_key(&key) {
            self.bytes += 2 * key.len();
            if self.groups.len() >= MAX_GROUPS || self.bytes > MAX_BYTES {
                return Err(TooManyGroups);
            }
            let group = self.empty(values);
            self.groups.insert(key.clone(), group);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            for (item, total) in self.items.iter().zip(&mut group.totals) {
                let value = item.selected.aggregated().map(|path| scope.resolve(path));
                self.bytes -= total.bytes();
                total.add(&value.unwrap_or(Value::Undefined));
                self.bytes += total.bytes();
            }
        }
        match self.bytes > MAX_BYTES {
            true => Err(TooManyGroups),
            false => Ok(()),
        }
    }

    /// Makes totals of rows that the index counted: for queries of `COUNT()` alone.
    pub(crate) fn count(&mut self, rows: u64) {
        for group in self.groups.values_mut() {
            for total in &mut group.totals {
                if let Total::Count(count) = total {
                    *count += rows;
                }
            }
        }
    }

    /// Whether the rows need only be counted.
    pub(crate) fn counts_only(&self) -> bool {
        let count = |item: &SelectItem| item.selected == Selected::Aggregate(Aggregate::Count);
        self.by.is_empty() && self.items.iter().all(count)
    }

    pub(crate) fn into_rows(self) -> Vec<Json> {
        let Self {
            items, by, groups, ..
        } = self;
        let row = |group: Group| {
            let member = |(item, total): (&SelectItem, Total)| {
                let value = match &item.selected {
                    Selected::Aggregate(_) => total.result(),
                    Selected::Path(path) => {
                        let place = by.iter().position(|by| by.segments == path.segments)?;
                        group.values.get(place)?.clone()
                    }
                };
                Some((item.name.clone(), value?))
            };
            let members = items.iter().zip(group.totals).filter_map(member);
            Json::Object(members.collect::<Map<_, _>>())
        };
        groups.into_values().map(row).collect()
    }
}

impl Selected {
    /// The path whose values are added up.
    fn aggregated(&self) -> Option<&Path> {
        match self {
            Self::Aggregate(
                Aggregate::Average(path)
                | Aggregate::Sum(path)
                | Aggregate::Minimum(path)
                | Aggregate::Maximum(path),
            ) => Some(path),
            Self::Aggregate(Aggregate::Count) | Self::Path(_) => None,
        }
    }
}

impl Total {
    fn of(item: &SelectItem) -> Self {
        let Selected::Aggregate(aggregate) = &item.selected else {
            return Self::Common;
        };
        match aggregate {
            Aggregate::Count => Self::Count(0),
            Aggregate::Sum(_) => Self::Sum(0.0),
            Aggregate::Average(_) => Self::Average {
                sum: 0.0,
                numbers: 0,
            },
            Aggregate::Minimum(_) => Self::Minimum(Extreme::default()),
            Aggregate::Maximum(_) => Self::Maximum(Extreme::default()),
        }
    }

    /// Counts a row with its number or string; every other value is left out.
    fn add(&mut self, value: &Value<'_>) {
        match self {
            Self::Common => {}
            Self::Count(count) => *count += 1,
            Self::Sum(sum) => *sum += value.number().unwrap_or_default(),
            Self::Average { sum, numbers } => {
                if let Some(number) = value.number() {
                    *numbers += 1;
                    *sum += number;
                }
            }
            Self::Minimum(least) => least.add(value, Ordering::Less),
            Self::Maximum(most) => most.add(value, Ordering::Greater),
        }
    }

    /// Of the string that is kept.
    fn bytes(&self) -> usize {
        match self {
            Self::Minimum(Extreme::Text(text)) | Self::Maximum(Extreme::Text(text)) => text.len(),
            _ => 0,
        }
    }

    fn result(self) -> Option<Json> {
        match self {
            Self::Common => None,
            Self::Count(count) => Some(count.into()),
            Self::Sum(sum) => Value::from_number(sum).into_json(),
            Self::Average { sum, numbers } => {
                #[expect(clippy::cast_precision_loss, reason = "rows of a hub stay below 2^53")]
                let numbers = numbers as f64;
                Value::from_number(sum / numbers).into_json()
            }
            Self::Minimum(extreme) | Self::Maximum(extreme) => match extreme {
                Extreme::None => None,
                Extreme::Number(number) => Value::from_number(number).into_json(),
                Extreme::Text(text) => Some(String::from(text).into()),
            },
        }
    }
}

impl Extreme {
    /// Keeps a value that is on the wanted side of what is kept.
    fn add(&mut self, value: &Value<'_>, wanted: Ordering) {
        if let Some(number) = value.number() {
            match self {
                Self::Number(kept) if number.partial_cmp(kept) != Some(wanted) => {}
                _ => *self = Self::Number(number),
            }
        } else if let Some(text) = value.text() {
            match self {
                Self::Number(_) => {}
                Self::Text(kept) if text.cmp(kept) != wanted => {}
                _ => *self = Self::Text(text.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Query, Selection};

    struct Document(Json);

    impl Scope for Document {
        fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
            Path::find(&path.segments, &self.0).into()
        }
    }

    fn groups(query: &str) -> Groups {
        let query = Query::parse(query).unwrap();
        let Selection::Items(items) = &query.selection else {
            panic!("members");
        };
        Groups::new(items, &query.group_by)
    }

    /// A device of each group, with a string of 4 KiB.
    fn fill(groups: &mut Groups, count: usize) -> Result<(), TooManyGroups> {
        let text = "x".repeat(4096);
        let document = |group: usize| Document(serde_json::json!({"g": group, "s": text}));
        (0..count).try_for_each(|group| groups.add(&document(group)))
    }

    #[test]
    fn strings_of_totals_have_a_limit_together() {
        let mut many = groups("SELECT g, MIN(s) AS a, MAX(s) AS b FROM devices GROUP BY g");
        assert_eq!(fill(&mut many, 1000), Ok(()));
        assert_eq!(fill(&mut many, 1000), Ok(()), "the same strings");
        assert_eq!(fill(&mut many, 1100), Err(TooManyGroups));
        let mut counted = groups("SELECT g, COUNT(), SUM(s), AVG(s) FROM devices GROUP BY g");
        assert_eq!(fill(&mut counted, 5000), Ok(()));
        assert_eq!(counted.into_rows().len(), 5000);
    }

    #[test]
    fn numbers_come_before_strings_in_an_extreme() {
        for order in [["a", "b"], ["b", "a"]] {
            let mut all =
                groups("SELECT MIN(s) AS least, MAX(s) AS most, SUM(s) AS sum FROM devices");
            for text in order {
                all.add(&Document(serde_json::json!({"s": text}))).unwrap();
            }
            let strings = serde_json::json!({"least": "a", "most": "b", "sum": 0});
            assert_eq!(all.into_rows(), [strings]);

            let mut all =
                groups("SELECT MIN(s) AS least, MAX(s) AS most, AVG(s) AS mean FROM devices");
            for value in [
                1.into(),
                order[0].into(),
                3.into(),
                order[1].into(),
                Json::Null,
            ] {
                all.add(&Document(serde_json::json!({"s": value}))).unwrap();
            }
            let numbers = serde_json::json!({"least": 1, "most": 3, "mean": 2});
            assert_eq!(all.into_rows(), [numbers]);
        }
    }
}
