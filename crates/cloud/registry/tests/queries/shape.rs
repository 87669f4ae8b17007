//! What a random query selects, and the rows of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::generate::Dice;
use crate::naive::{Condition, Truth, look_up};
use crate::world::WHOLE;

/// What a query selects.
pub(crate) enum Shape {
    Members(Vec<&'static str>, Option<usize>),
    Totals(&'static str),
    Groups(Vec<&'static str>),
    /// `SELECT *`.
    Whole(Option<usize>),
}

impl Shape {
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        let group = |dice: &mut Dice| dice.pick(&["tags.site", "status", "tags.n", "nothing"]);
        match dice.below(8) {
            0 => Self::Totals(dice.pick(&["tags.n", "properties.reported.n", "version"])),
            1 => Self::Groups(vec![group(dice)]),
            2 => Self::Groups(vec!["connectionState", group(dice)]),
            3 => Self::Members(
                vec!["deviceId", "moduleId", "tags"],
                Some(1 + dice.below(9)),
            ),
            4 => Self::Whole(None),
            5 => Self::Whole(Some(1 + dice.below(9))),
            _ => Self::Members(
                vec!["deviceId", "moduleId", "tags.site", "properties"],
                None,
            ),
        }
    }

    pub(crate) fn top(&self) -> Option<usize> {
        match self {
            Self::Members(_, top) | Self::Whole(top) => *top,
            Self::Totals(_) | Self::Groups(_) => None,
        }
    }

    pub(crate) fn text(&self, from: &str, condition: &str) -> String {
        let rest = format!("FROM {from} WHERE {condition}");
        match self {
            Self::Members(paths, None) => format!("SELECT {} {rest}", paths.join(", ")),
            Self::Members(paths, Some(top)) => {
                format!("SELECT TOP {top} {} {rest}", paths.join(","))
            }
            Self::Whole(None) => format!("SELECT * {rest}"),
            Self::Whole(Some(top)) => format!("select top {top} * {rest}"),
            Self::Totals(path) => format!(
                "SELECT COUNT() AS count, SUM({path}) AS sum, MIN({path}) AS least, \
                 MAX({path}) AS most {rest}"
            ),
            Self::Groups(paths) => {
                let paths = paths.join(", ");
                format!("SELECT {paths}, COUNT() AS count {rest} GROUP BY {paths}")
            }
        }
    }

    /// The rows of documents, as a person would work them out.
    pub(crate) fn rows(&self, documents: &[Value], condition: &Condition) -> Vec<Value> {
        let matching = documents
            .iter()
            .filter(|one| condition.ask(one) == Truth::Yes);
        let matching: Vec<_> = matching.collect();
        match self {
            Self::Members(paths, _) => matching.iter().map(|one| row(one, paths)).collect(),
            Self::Whole(_) => matching.iter().map(|one| row(one, &WHOLE)).collect(),
            Self::Totals(path) => vec![totals(&matching, path)],
            Self::Groups(paths) => {
                let mut groups: BTreeMap<String, (Value, usize)> = BTreeMap::new();
                for one in matching {
                    let key = row(one, paths);
                    groups.entry(key.to_string()).or_insert((key, 0)).1 += 1;
                }
                let groups = groups.into_values().map(|(mut row, count)| {
                    row["count"] = count.into();
                    row
                });
                groups.collect()
            }
        }
    }
}

fn row(document: &Value, paths: &[&str]) -> Value {
    let member = |path: &&str| {
        let name = path.rsplit('.').next()?.to_owned();
        Some((name, look_up(document, path)?))
    };
    Value::Object(paths.iter().filter_map(member).collect())
}

fn totals(documents: &[&Value], path: &str) -> Value {
    let values: Vec<_> = documents
        .iter()
        .filter_map(|one| look_up(one, path))
        .collect();
    let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    let number = |number: f64| match number.fract() == 0.0 {
        true => json!(format!("{number}").parse::<i64>().unwrap()),
        false => json!(number),
    };
    let mut row =
        json!({"count": documents.len(), "sum": number(numbers.iter().sum::<f64>() + 0.0)});
    if let Some(least) = numbers.iter().copied().reduce(f64::min) {
        row["least"] = number(least);
        row["most"] = number(numbers.iter().copied().fold(least, f64::max));
    } else if let (Some(least), Some(most)) = (texts.iter().min(), texts.iter().max()) {
        row["least"] = json!(least);
        row["most"] = json!(most);
    }
    row
}
