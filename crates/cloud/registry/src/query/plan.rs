//! Which rows a query has to look at: those of one indexed part of its condition, or all.
//!
//! A condition is true only when each part that `AND` joins at its top is. A part that compares a
//! tag, the device id or the status of a configuration with a constant names its candidates; the
//! condition is asked about each of them all the same, unless the part is the whole condition and
//! the index is exact.

use serde_json::Value as Json;
use store::{DeviceRange, MAX_TAG_PATH, TagRange, TagValue};

use super::ast::{Collection, Comparison, Expression, Node, Path, Query, Segment};
use super::function::Function;

/// Where the rows of a query come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    /// Whether every row of the source meets the condition.
    pub(crate) exact: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// Devices, or their modules, by ranges of device ids, in order and apart.
    Devices(Vec<DeviceRange>),
    /// An index of tags: ranges of one path, in order and apart.
    Tags(Vec<TagRange>),
    /// What a configuration concerns.
    Configuration { id: String, applied: bool },
    /// Outcomes of jobs.
    Jobs,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            Source::Devices(ranges) if *ranges == [DeviceRange::all()] => write!(f, "scan")?,
            Source::Devices(ranges) => write!(f, "index(deviceId), {} range(s)", ranges.len())?,
            Source::Tags(ranges) => {
                let path = printed(ranges.first().map_or("", |range| &range.path));
                write!(f, "index(tags.{path}), {} range(s)", ranges.len())?;
            }
            Source::Configuration { id, .. } => {
                write!(f, "index(configurations.[[{}]])", printed(id))?;
            }
            Source::Jobs => write!(f, "scan of jobs")?,
        }
        match self.exact {
            true => Ok(()),
            false => write!(f, ", filter"),
        }
    }
}

/// Most characters of a name in a plan's text.
const MAX_PRINTED: usize = 128;

/// A name in ASCII, not too long: the text of a plan is a header.
fn printed(name: &str) -> String {
    let name = name.chars().take(MAX_PRINTED);
    name.flat_map(char::escape_default).collect()
}

/// The plans of a query; the last one needs no index. Their order depends on the query alone.
pub(crate) fn plans(query: &Query) -> Vec<Plan> {
    if query.from == Collection::Jobs {
        return vec![Plan {
            source: Source::Jobs,
            exact: query.condition.is_none(),
        }];
    }
    let mut parts = Vec::new();
    if let Some(condition) = &query.condition {
        conjuncts(condition, &mut parts);
    }
    let alone = parts.len() == 1;
    let indexed = parts.into_iter().filter_map(source);
    let mut plans: Vec<_> = indexed
        .map(|(source, exact)| Plan {
            source,
            exact: exact && alone,
        })
        .collect();
    plans.push(Plan {
        source: Source::Devices(vec![DeviceRange::all()]),
        exact: query.condition.is_none(),
    });
    plans
}

/// The parts that `AND` joins.
fn conjuncts<'a>(expression: &'a Expression, parts: &mut Vec<&'a Expression>) {
    match &expression.node {
        Node::And(inner) => inner.iter().for_each(|part| conjuncts(part, parts)),
        _ => parts.push(expression),
    }
}

/// What an indexed path is compared with.
enum Wanted<'a> {
    Compared(Comparison, &'a Json),
    OneOf(&'a [Json]),
    Prefix(&'a str),
}

fn source(part: &Expression) -> Option<(Source, bool)> {
    let truth = &Json::Bool(true);
    let (path, wanted) = match &part.node {
        Node::Path(path) => (path, Wanted::Compared(Comparison::Equal, truth)),
        Node::Compare(left, comparison, right) => match (&left.node, &right.node) {
            (Node::Path(path), Node::Literal(value)) => {
                (path, Wanted::Compared(*comparison, value))
            }
            (Node::Literal(value), Node::Path(path)) => {
                (path, Wanted::Compared(comparison.mirrored(), value))
            }
            _ => return None,
        },
        Node::In(item, list) => match &item.node {
            Node::Path(path) => (path, Wanted::OneOf(list)),
            _ => return None,
        },
        Node::Call(Function::StartsWith, arguments) => match arguments.as_slice() {
            [
                Expression {
                    node: Node::Path(path),
                    ..
                },
                Expression {
                    node: Node::Literal(Json::String(prefix)),
                    ..
                },
            ] => (path, Wanted::Prefix(prefix)),
            _ => return None,
        },
        _ => return None,
    };
    match path.root() {
        "deviceId" if path.segments.len() == 1 => devices(&wanted),
        "configurations" => configuration(path, &wanted),
        "tags" => tags(path, &wanted),
        _ => None,
    }
}

fn devices(wanted: &Wanted<'_>) -> Option<(Source, bool)> {
    let whole = DeviceRange::all();
    let equal = |id: &str| DeviceRange {
        from: id.to_owned(),
        to: id.to_owned(),
    };
    let (mut ranges, exact) = match wanted {
        Wanted::OneOf(list) => (
            list.iter().filter_map(Json::as_str).map(equal).collect(),
            true,
        ),
        Wanted::Compared(comparison, value) => {
            let id = value.as_str()?;
            match comparison {
                Comparison::Equal => (vec![equal(id)], true),
                Comparison::Less | Comparison::LessOrEqual => (
                    vec![DeviceRange {
                        to: id.to_owned(),
                        ..whole
                    }],
                    false,
                ),
                Comparison::Greater | Comparison::GreaterOrEqual => (
                    vec![DeviceRange {
                        from: id.to_owned(),
                        ..whole
                    }],
                    false,
                ),
                Comparison::NotEqual => return None,
            }
        }
        Wanted::Prefix(prefix) => (
            vec![DeviceRange {
                from: (*prefix).to_owned(),
                to: format!("{prefix}\u{7f}"),
            }],
            true,
        ),
    };
    ranges.sort_by(|a: &DeviceRange, b| a.from.cmp(&b.from));
    ranges.dedup();
    Some((Source::Devices(ranges), exact))
}

/// `configurations.[[id]].status = 'Applied'`
fn configuration(path: &Path, wanted: &Wanted<'_>) -> Option<(Source, bool)> {
    let (3, Some(id), Some("status")) = (path.segments.len(), path.name(1), path.name(2)) else {
        return None;
    };
    let Wanted::Compared(Comparison::Equal, value) = wanted else {
        return None;
    };
    let applied = match value.as_str()? {
        "Applied" => true,
        "Targeted" => false,
        _ => return None,
    };
    let id = id.to_owned();
    // The modules of a device have a status of their own.
    Some((Source::Configuration { id, applied }, false))
}

fn tags(path: &Path, wanted: &Wanted<'_>) -> Option<(Source, bool)> {
    let path = tag_path(path)?;
    let range = |from, to| TagRange {
        path: path.clone(),
        from,
        to,
    };
    let (mut ranges, exact) = match wanted {
        Wanted::OneOf(list) => {
            let values: Vec<_> = list.iter().filter_map(TagValue::new).collect();
            let exact = !values.iter().any(TagValue::is_cut);
            let ranges = values.into_iter().map(|value| range(value.clone(), value));
            (ranges.collect::<Vec<_>>(), exact)
        }
        Wanted::Compared(comparison, value) => {
            let wanted = TagValue::new(value)?;
            let (least, greatest) = TagValue::bounds(value)?;
            let ends = TagValue::ends_of_type(value);
            match comparison {
                Comparison::Equal => {
                    let exact = !wanted.is_cut();
                    (vec![range(wanted.clone(), wanted)], exact)
                }
                Comparison::Less | Comparison::LessOrEqual => {
                    (vec![range(ends?.0, greatest)], false)
                }
                Comparison::Greater | Comparison::GreaterOrEqual => {
                    (vec![range(least, ends?.1)], false)
                }
                Comparison::NotEqual => return None,
            }
        }
        Wanted::Prefix(prefix) => {
            let (from, to) = TagValue::with_prefix(prefix);
            (vec![range(from, to)], false)
        }
    };
    ranges.sort_by(|a, b| a.from.cmp(&b.from));
    ranges.dedup();
    Some((Source::Tags(ranges), exact))
}

/// The path inside of the tags as the index has it.
fn tag_path(path: &Path) -> Option<String> {
    let name = |segment: &Segment| match segment {
        // Names with dots are not in documents; in the index they would look like paths.
        Segment::Name(name) if !name.contains('.') => Some(name.clone()),
        _ => None,
    };
    let names: Option<Vec<_>> = path.segments.iter().skip(1).map(name).collect();
    let path = names?.join(".");
    (!path.is_empty() && path.len() <= MAX_TAG_PATH).then_some(path)
}

impl Comparison {
    /// The comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(condition: &str) -> Vec<String> {
        let query = Query::parse(&format!("SELECT * FROM devices WHERE {condition}")).unwrap();
        plans(&query).iter().map(Plan::to_string).collect()
    }

    #[test]
    fn indexed_parts_of_a_conjunction_name_their_candidates() {
        for (condition, expected) in [
            (
                "tags.site = 'a'",
                &["index(tags.site), 1 range(s)", "scan, filter"][..],
            ),
            (
                "tags.a.b IN ['x', 'y', 'x']",
                &["index(tags.a.b), 2 range(s)", "scan, filter"],
            ),
            (
                "3 < tags.n",
                &["index(tags.n), 1 range(s), filter", "scan, filter"],
            ),
            ("tags.lab", &["index(tags.lab), 1 range(s)", "scan, filter"]),
            (
                "startswith(tags.s, 'x')",
                &["index(tags.s), 1 range(s), filter", "scan, filter"],
            ),
            (
                "tags.a = 1 AND (status = 'enabled' AND deviceId IN ['x'])",
                &[
                    "index(tags.a), 1 range(s), filter",
                    "index(deviceId), 1 range(s), filter",
                    "scan, filter",
                ],
            ),
            (
                "configurations.[[c-1]].status = 'Applied'",
                &["index(configurations.[[c-1]]), filter", "scan, filter"],
            ),
            ("tags.a = 1 OR tags.b = 2", &["scan, filter"]),
            ("NOT tags.a = 1", &["scan, filter"]),
            ("tags.a != 1", &["scan, filter"]),
            ("tags.a = tags.b", &["scan, filter"]),
            ("tags.list[0] = 1", &["scan, filter"]),
            ("properties.reported.a = 1", &["scan, filter"]),
        ] {
            assert_eq!(names(condition), expected, "{condition}");
        }
    }

    #[test]
    fn a_plan_is_printed_in_ascii() {
        let long = "x".repeat(200);
        let configuration = format!("configurations.[[{long}]].status = 'Applied'");
        let printed = format!("index(configurations.[[{}]]), filter", "x".repeat(128));
        for (condition, expected) in [
            (
                "tags.지역 = 'a'",
                r"index(tags.\u{c9c0}\u{c5ed}), 1 range(s)",
            ),
            ("tags.[[a\r\n]] = 1", r"index(tags.a\r\n), 1 range(s)"),
            (&configuration, &printed),
        ] {
            assert_eq!(names(condition)[0], expected, "{condition}");
        }
    }

    #[test]
    fn an_empty_query_is_an_exact_scan() {
        let query = Query::parse("SELECT * FROM devices").unwrap();
        assert_eq!(plans(&query)[0].to_string(), "scan");
    }
}
