//! What a query names: the collection in front of paths goes, attributes get the letter case that
//! they have in twins, and every member of a row has a name of its own.

use super::ParseError;
use crate::query::ast::{
    Aggregate, Collection, Expression, Node, Path, Query, Segment, SelectItem, Selected, Selection,
};

/// The attributes of twins. Azure's documents also ask for `DeviceId` and `LastActivityTime`; what is
/// below them is read as it is written.
const ATTRIBUTES: &[&str] = &[
    "authenticationType",
    "capabilities",
    "cloudToDeviceMessageCount",
    "configurations",
    "connectionState",
    "deviceEtag",
    "deviceId",
    "deviceScope",
    "etag",
    "lastActivityTime",
    "modelId",
    "moduleId",
    "parentScopes",
    "properties",
    "status",
    "statusReason",
    "statusUpdateTime",
    "tags",
    "version",
    "x509Thumbprint",
];

pub(super) fn resolve(query: &mut Query) -> Result<(), ParseError> {
    let from = query.from;
    if let Some(condition) = &mut query.condition {
        in_expression(condition, from)?;
    }
    for path in &mut query.group_by {
        of_collection(path, from)?;
    }
    if let Selection::Items(items) = &mut query.selection {
        for item in &mut *items {
            in_item(item, from)?;
        }
    }
    resolve_selection(query)
}

fn in_item(item: &mut SelectItem, from: Collection) -> Result<(), ParseError> {
    match &mut item.selected {
        Selected::Path(path) => {
            let last = path.segments.len() - 1;
            let named = path.name(last) == Some(&item.name);
            of_collection(path, from)?;
            if named && path.segments.len() == 1 {
                path.root().clone_into(&mut item.name);
            }
            Ok(())
        }
        Selected::Aggregate(
            Aggregate::Average(path)
            | Aggregate::Sum(path)
            | Aggregate::Minimum(path)
            | Aggregate::Maximum(path),
        ) => of_collection(path, from),
        Selected::Aggregate(Aggregate::Count) => Ok(()),
    }
}

fn in_expression(expression: &mut Expression, from: Collection) -> Result<(), ParseError> {
    match &mut expression.node {
        Node::Path(path) => of_collection(path, from),
        Node::Or(parts) | Node::And(parts) | Node::Call(_, parts) => parts
            .iter_mut()
            .try_for_each(|part| in_expression(part, from)),
        Node::Not(inner) | Node::Negative(inner) | Node::In(inner, _) => in_expression(inner, from),
        Node::Compare(left, _, right) => {
            in_expression(left, from)?;
            in_expression(right, from)
        }
        Node::Arithmetic(first, rest) => {
            in_expression(first, from)?;
            rest.iter_mut()
                .try_for_each(|(_, part)| in_expression(part, from))
        }
        Node::Literal(_) | Node::Undefined => Ok(()),
    }
}

/// Takes `devices.`, `devices.modules.` or `devices.jobs.` off a path, and names its attribute.
fn of_collection(path: &mut Path, from: Collection) -> Result<(), ParseError> {
    if path.root() == "devices" {
        strip(path, from)?;
    }
    if from != Collection::Jobs
        && let Some(Segment::Name(root)) = path.segments.first_mut()
        && let Some(attribute) = ATTRIBUTES
            .iter()
            .find(|attribute| root.eq_ignore_ascii_case(attribute))
    {
        (*attribute).clone_into(root);
    }
    Ok(())
}

fn strip(path: &mut Path, from: Collection) -> Result<(), ParseError> {
    let prefix = match (from, path.name(1)) {
        (Collection::Modules, Some("modules")) | (Collection::Jobs, Some("jobs")) => 2,
        _ => 1,
    };
    if path.segments.len() <= prefix {
        let problem = format!("a property of {} was expected", from.name());
        return Err(ParseError::new(path.at, problem));
    }
    path.segments.drain(..prefix);
    if let Some(Segment::Index(_)) = path.segments.first() {
        return Err(ParseError::new(
            path.at,
            "a collection has no elements here",
        ));
    }
    Ok(())
}

fn resolve_selection(query: &Query) -> Result<(), ParseError> {
    let grouped = query.group_by.first();
    let items = match (&query.selection, grouped) {
        (Selection::Items(items), _) => items,
        (Selection::All, Some(path)) => {
            let problem = "with GROUP BY, SELECT lists the grouped properties and aggregates";
            return Err(ParseError::new(path.at, problem));
        }
        (Selection::All, None) => return Ok(()),
    };
    if query.from == Collection::Jobs {
        let problem = "queries of devices.jobs are SELECT * only";
        return Err(ParseError::new(0, problem));
    }
    unique_names(items)?;
    let aggregated = grouped.is_some()
        || items
            .iter()
            .any(|item| matches!(item.selected, Selected::Aggregate(_)));
    let loose = |item: &&SelectItem| match &item.selected {
        Selected::Path(path) => {
            let same = |group: &Path| group.segments == path.segments;
            aggregated && !query.group_by.iter().any(same)
        }
        Selected::Aggregate(_) => false,
    };
    match items.iter().find(loose) {
        Some(SelectItem {
            selected: Selected::Path(path),
            ..
        }) => Err(ParseError::new(
            path.at,
            format!("beside aggregates, '{path}' must stand in GROUP BY"),
        )),
        _ => Ok(()),
    }
}

fn unique_names(items: &[SelectItem]) -> Result<(), ParseError> {
    for (place, item) in items.iter().enumerate() {
        if items[..place].iter().any(|before| before.name == item.name) {
            let at = match &item.selected {
                Selected::Path(path) => path.at,
                Selected::Aggregate(_) => 0,
            };
            let problem = format!(
                "two members of the rows would be called '{}'; name one with AS",
                item.name
            );
            return Err(ParseError::new(at, problem));
        }
    }
    Ok(())
}
