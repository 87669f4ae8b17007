//! What a query names: the collection in front of paths goes, and every member of a row has a name
//! of its own.

use super::ParseError;
use crate::query::ast::{
    Aggregate, Collection, Expression, Node, Path, Query, Segment, SelectItem, Selected, Selection,
};

pub(super) fn resolve(query: &mut Query) -> Result<(), ParseError> {
    let from = query.from;
    if let Some(condition) = &mut query.condition {
        in_expression(condition, from)?;
    }
    for path in &mut query.group_by {
        strip(path, from)?;
    }
    if let Selection::Items(items) = &mut query.selection {
        for item in &mut *items {
            match &mut item.selected {
                Selected::Path(path)
                | Selected::Aggregate(
                    Aggregate::Average(path)
                    | Aggregate::Sum(path)
                    | Aggregate::Minimum(path)
                    | Aggregate::Maximum(path),
                ) => strip(path, from)?,
                Selected::Aggregate(Aggregate::Count) => {}
            }
        }
    }
    resolve_selection(query)
}

fn in_expression(expression: &mut Expression, from: Collection) -> Result<(), ParseError> {
    match &mut expression.node {
        Node::Path(path) => strip(path, from),
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

/// Takes `devices.`, `devices.modules.` or `devices.jobs.` off a path.
fn strip(path: &mut Path, from: Collection) -> Result<(), ParseError> {
    if path.root() != "devices" {
        return Ok(());
    }
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
