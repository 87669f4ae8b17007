//! The rows of a query's answer: members of single twins, or totals of groups.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::ast::{Aggregate, Path, SelectItem, Selected};
use super::evaluate::Scope;
use super::value::Value;

/// Most groups of an answer.
pub(crate) const MAX_GROUPS: usize = 10_000;
/// Most bytes of what tells the groups apart.
const MAX_KEYS: usize = 8 << 20;

/// An answer would have more groups than fit into memory.
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
    key_bytes: usize,
}

#[derive(Debug)]
struct Group {
    values: Vec<Option<Json>>,
    /// One for each item.
    totals: Vec<Total>,
}

#[derive(Debug, Clone, Default)]
struct Total {
    count: u64,
    numbers: u64,
    sum: f64,
    least: Extreme,
    most: Extreme,
}

/// The least or the greatest of the numbers; of the strings when there are no numbers.
#[derive(Debug, Clone, Default)]
struct Extreme {
    number: Option<f64>,
    text: Option<String>,
}

impl Groups {
    pub(crate) fn new(items: &[SelectItem], by: &[Path]) -> Self {
        let mut groups = Self {
            items: items.to_vec(),
            by: by.to_vec(),
            groups: BTreeMap::new(),
            key_bytes: 0,
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
            totals: vec![Total::default(); self.items.len()],
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
            self.key_bytes += 2 * key.len();
            if self.groups.len() >= MAX_GROUPS || self.key_bytes > MAX_KEYS {
                return Err(TooManyGroups);
            }
            let group = self.empty(values);
            self.groups.insert(key.clone(), group);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            for (item, total) in self.items.iter().zip(&mut group.totals) {
                total.count += 1;
                if let Some(path) = item.selected.aggregated() {
                    total.add(&scope.resolve(path));
                }
            }
        }
        Ok(())
    }

    /// Makes totals of rows that the index counted: for queries of `COUNT()` alone.
    pub(crate) fn count(&mut self, rows: u64) {
        for group in self.groups.values_mut() {
            group
                .totals
                .iter_mut()
                .for_each(|total| total.count += rows);
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
                    Selected::Aggregate(aggregate) => total.result(aggregate),
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
    /// Counts a number or a string; everything else is left out.
    fn add(&mut self, value: &Value<'_>) {
        if let Some(number) = value.number() {
            self.numbers += 1;
            self.sum += number;
            self.least.number = Some(self.least.number.map_or(number, |least| least.min(number)));
            self.most.number = Some(self.most.number.map_or(number, |most| most.max(number)));
        }
        if let Some(text) = value.text() {
            if self.least.text.as_deref().is_none_or(|least| text < least) {
                self.least.text = Some(text.to_owned());
            }
            if self.most.text.as_deref().is_none_or(|most| text > most) {
                self.most.text = Some(text.to_owned());
            }
        }
    }

    fn result(&self, aggregate: &Aggregate) -> Option<Json> {
        #[expect(clippy::cast_precision_loss, reason = "rows of a hub stay below 2^53")]
        let numbers = self.numbers as f64;
        match aggregate {
            Aggregate::Count => Some(self.count.into()),
            Aggregate::Sum(_) => Value::from_number(self.sum).into_json(),
            Aggregate::Average(_) => Value::from_number(self.sum / numbers).into_json(),
            Aggregate::Minimum(_) => self.least.result(),
            Aggregate::Maximum(_) => self.most.result(),
        }
    }
}

impl Extreme {
    fn result(&self) -> Option<Json> {
        match (self.number, &self.text) {
            (Some(number), _) => Value::from_number(number).into_json(),
            (None, text) => text.clone().map(Json::String),
        }
    }
}
