//! Random twins, conditions and queries. The values are few, so that they often meet.

use serde_json::{Map, Value, json};

use crate::naive::{Condition, Operand};

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

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
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
        "deviceId" => json!(device_id(dice.below(60))),
        "moduleId" => json!(dice.pick(&["$edgeAgent", "camera"])),
        "status" => json!(dice.pick(&["enabled", "disabled"])),
        "connectionState" => json!(dice.pick(&["Connected", "Disconnected"])),
        _ if dice.one_in(12) => Value::Null,
        _ => scalar(dice),
    }
}

/// Functions that ask what a value is.
const TYPES: &[&str] = &[
    "IS_DEFINED",
    "is_null",
    "IS_BOOL",
    "is_number",
    "IS_STRING",
    "Is_Object",
    "IS_ARRAY",
    "IS_PRIMITIVE",
];

pub(crate) fn condition(dice: &mut Dice, depth: usize) -> Condition {
    match dice.below(if depth == 0 { 8 } else { 13 }) {
        0..=3 => comparison(dice),
        4 => {
            let path = path(dice);
            let list = (0..=dice.below(3)).map(|_| constant(dice, &path)).collect();
            Condition::In(Operand::Path(path), list, dice.one_in(3))
        }
        5 => Condition::Call(dice.pick(TYPES), path(dice), None),
        6 => text_function(dice),
        7 => match dice.below(3) {
            0 => {
                let path = path(dice);
                let wanted = constant(dice, &path);
                Condition::Call("array_contains", path, Some(wanted))
            }
            1 => Condition::Truth(path(dice)),
            _ => {
                let (left, right) = (Operand::Path(path(dice)), Operand::Path(path(dice)));
                Condition::Compare(left, dice.pick(&["=", "!=", "<"]), right)
            }
        },
        8 => Condition::Not(Box::new(condition(dice, depth - 1))),
        9 => Condition::Or(parts(dice, depth)),
        _ => Condition::And(parts(dice, depth)),
    }
}

fn parts(dice: &mut Dice, depth: usize) -> Vec<Condition> {
    let count = 2 + dice.below(2);
    (0..count).map(|_| condition(dice, depth - 1)).collect()
}

fn comparison(dice: &mut Dice) -> Condition {
    let path = path(dice);
    let value = constant(dice, &path);
    let sign = dice.pick(&["=", "=", "=", "!=", "<>", "<", "<=", ">", ">="]);
    let (left, right) = (Operand::Path(path.clone()), Operand::Constant(value));
    match dice.below(8) {
        0 => Condition::Compare(right, sign, left),
        1 => Condition::Compare(arithmetic(dice, 2), sign, right),
        2 => Condition::Compare(left, sign, arithmetic(dice, 2)),
        3 => {
            let left = Operand::OfText(dice.pick(&["LOWER", "Upper", "length"]), path);
            Condition::Compare(left, sign, right)
        }
        _ => Condition::Compare(left, sign, right),
    }
}

fn arithmetic(dice: &mut Dice, depth: usize) -> Operand {
    match dice.below(if depth == 0 { 2 } else { 4 }) {
        0 => Operand::Path(path(dice)),
        1 => Operand::Constant(json!(dice.pick(&[-2.5, -1.0, 0.0, 1.0, 3.0]))),
        _ => {
            let left = Box::new(arithmetic(dice, depth - 1));
            let right = Box::new(arithmetic(dice, depth - 1));
            Operand::Arithmetic(left, dice.pick(&["+", "-", "*", "/", "%"]), right)
        }
    }
}

fn text_function(dice: &mut Dice) -> Condition {
    let path = dice.pick(&["deviceId", "tags.site", "tags.my-key"]);
    let part = dice.pick(&[
        "line-0", "S", "Se", "long", "O'", "", "x", "1", "oul", "003",
    ]);
    let name = dice.pick(&["startswith", "STARTS_WITH", "ENDS_WITH", "contains"]);
    Condition::Call(name, path.to_owned(), Some(json!(part)))
}
