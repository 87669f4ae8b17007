//! Random twins, conditions and queries. The values are few, so that they often meet.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::naive::{Condition, Operand, Truth, look_up};

/// A generator of numbers (xorshift): a run is the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

pub(crate) fn device_id(number: usize) -> String {
    format!("{}-{:03}", ["line", "press", "Oven"][number % 3], number)
}

/// A value that a twin may hold, of any kind.
fn scalar(dice: &mut Dice) -> Value {
    match dice.below(8) {
        0 => json!("Seoul"),
        1 => json!(format!("{}{}", "long".repeat(70), dice.below(2))),
        2 => json!(format!("O'Neil \\ {}", dice.below(2))),
        3 => json!(dice.one_in(2)),
        4 => json!(-1.5),
        5 => json!(dice.below(3)),
        6 => json!("3"),
        _ => json!("Se"),
    }
}

fn members(dice: &mut Dice, names: &[&str], depth: usize) -> Map<String, Value> {
    let mut all = Map::new();
    for name in names {
        let value = match dice.below(8) {
            0..=2 => continue,
            3 if depth > 0 => Value::Object(members(dice, names, depth - 1)),
            4 => json!([scalar(dice), scalar(dice)]),
            _ => scalar(dice),
        };
        all.insert((*name).to_owned(), value);
    }
    all
}

pub(crate) fn tags(dice: &mut Dice) -> Value {
    Value::Object(members(dice, &["site", "n", "my-key"], 1))
}

pub(crate) fn properties(dice: &mut Dice) -> Value {
    Value::Object(members(dice, &["n", "mode"], 1))
}

const PATHS: &[&str] = &[
    "tags.site",
    "tags.n",
    "tags.my-key",
    "tags.site",
    "tags.n",
    "tags.n.site",
    "tags.site[0]",
    "properties.desired.n",
    "properties.reported.n",
    "properties.reported.mode",
    "deviceId",
    "moduleId",
    "status",
    "capabilities.iotEdge",
    "connectionState",
    "version",
    "properties.desired.$version",
    "properties.reported.mode.n",
    "nothing",
];

fn path(dice: &mut Dice) -> String {
    dice.pick(PATHS).to_owned()
}

/// A constant that the path may well be compared with.
fn constant(dice: &mut Dice, path: &str) -> Value {
    match path {
        "deviceId" => json!(device_id(dice.below(320))),
        "moduleId" => json!(dice.pick(&["$edgeAgent", "camera"])),
        "status" => json!(dice.pick(&["enabled", "disabled"])),
        "connectionState" => json!(dice.pick(&["Connected", "Disconnected"])),
        _ if dice.one_in(12) => Value::Null,
        _ => scalar(dice),
    }
}

pub(crate) fn condition(dice: &mut Dice, depth: usize) -> Condition {
    match dice.below(if depth == 0 { 6 } else { 11 }) {
        0..=2 => {
            let path = path(dice);
            let value = constant(dice, &path);
            let sign = dice.pick(&["=", "=", "=", "!=", "<>", "<", "<=", ">", ">="]);
            let (left, right) = (Operand::Path(path), Operand::Constant(value));
            match dice.below(6) {
                0 => Condition::Compare(right, sign, left),
                1 => Condition::Compare(Operand::Sum(Box::new(left), 1.0), sign, right),
                _ => Condition::Compare(left, sign, right),
            }
        }
        3 => {
            let path = path(dice);
            let list = (0..=dice.below(3)).map(|_| constant(dice, &path)).collect();
            Condition::In(Operand::Path(path), list, dice.one_in(3))
        }
        4 if dice.one_in(2) => Condition::Defined(path(dice)),
        4 => {
            let (left, right) = (Operand::Path(path(dice)), Operand::Path(path(dice)));
            Condition::Compare(left, dice.pick(&["=", "!=", "<"]), right)
        }
        5 => {
            let path = dice
                .pick(&["deviceId", "tags.site", "tags.my-key"])
                .to_owned();
            let prefix = dice
                .pick(&["line-0", "S", "Se", "long", "O'", "", "x"])
                .to_owned();
            Condition::StartsWith(Operand::Path(path), prefix)
        }
        6 => Condition::Not(Box::new(condition(dice, depth - 1))),
        7 => Condition::Or(
            (0..2 + dice.below(2))
                .map(|_| condition(dice, depth - 1))
                .collect(),
        ),
        _ => Condition::And(
            (0..2 + dice.below(2))
                .map(|_| condition(dice, depth - 1))
                .collect(),
        ),
    }
}

/// What a query selects.
pub(crate) enum Shape {
    Members(Vec<&'static str>, Option<usize>),
    Totals(&'static str),
    Groups(Vec<&'static str>),
}

impl Shape {
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        let group = |dice: &mut Dice| dice.pick(&["tags.site", "status", "tags.n", "nothing"]);
        match dice.below(6) {
            0 => Self::Totals(dice.pick(&["tags.n", "properties.reported.n", "version"])),
            1 => Self::Groups(vec![group(dice)]),
            2 => Self::Groups(vec!["connectionState", group(dice)]),
            3 => Self::Members(
                vec!["deviceId", "moduleId", "tags"],
                Some(1 + dice.below(9)),
            ),
            _ => Self::Members(
                vec!["deviceId", "moduleId", "tags.site", "properties"],
                None,
            ),
        }
    }

    pub(crate) fn top(&self) -> Option<usize> {
        match self {
            Self::Members(_, top) => *top,
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
