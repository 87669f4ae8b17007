//! The graph as text: the whole list for `graph.txt`, and the drawing in ARCHITECTURE.md, which
//! leaves out every arrow that follows from others.

use std::collections::BTreeSet;

use super::Crates;
use super::floors::Floor;

const BEGIN: &str = "<!-- drawing: made by `cargo xtask graph --bless` -->";
const END: &str = "<!-- end of the drawing -->";

/// Every crate with all of its direct dependencies.
pub(super) fn list(crates: &Crates) -> String {
    let mut text = String::from(
        "# Which crate of ours names which (normal dependencies). \
         Written by `cargo xtask graph --bless`.\n",
    );
    for (name, member) in crates {
        let targets = match member.ours.as_slice() {
            [] => "(none)".to_owned(),
            ours => ours.join(" "),
        };
        text.push_str(&format!("{name:<12} -> {targets}\n"));
    }
    text
}

/// The document with its drawing made anew; `None` when it has no place for one.
pub(super) fn in_document(document: &str, crates: &Crates) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let drawing = drawing(crates);
    Some(format!(
        "{before}{BEGIN}\n\n```text\n{drawing}```\n\n{END}{after}"
    ))
}

fn drawing(crates: &Crates) -> String {
    let floors = [
        (Floor::Beside, "beside"),
        (Floor::Edge, "edge"),
        (Floor::Cloud, "cloud"),
        (Floor::Net, "net"),
        (Floor::Protocol, "protocol"),
    ];
    let mut text = String::new();
    for (floor, title) in floors {
        let on_floor = crates
            .iter()
            .filter(|(_, member)| Floor::of(&member.folder) == Some(floor));
        // What is built last stands first, so that arrows lead downward.
        let mut names: Vec<&String> = on_floor.map(|(name, _)| name).collect();
        names.sort_by_key(|name| (std::cmp::Reverse(below(name, crates).len()), *name));
        for (row, name) in names.into_iter().enumerate() {
            let title = if row == 0 { title } else { "" };
            let targets = needed(name, crates).join("  ");
            let arrow = if targets.is_empty() { "" } else { "─►" };
            let line = format!("{title:<9} {name:<12} {arrow} {targets}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// The direct dependencies that no other direct dependency brings along.
fn needed<'c>(name: &str, crates: &'c Crates) -> Vec<&'c str> {
    let direct = crates.get(name).map_or(&[][..], |member| &member.ours);
    let follows = |target: &String| {
        direct
            .iter()
            .any(|other| other != target && below(other, crates).contains(target.as_str()))
    };
    let needed = direct.iter().filter(|target| !follows(target));
    needed.map(String::as_str).collect()
}

/// Everything that a crate depends on, directly or not.
fn below<'c>(name: &str, crates: &'c Crates) -> BTreeSet<&'c str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = crates.get(name).map_or(Vec::new(), direct);
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(crates.get(next).map_or(Vec::new(), direct));
        }
    }
    found
}

fn direct(member: &super::Member) -> Vec<&str> {
    member.ours.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Member;
    use super::*;

    fn house() -> Crates {
        let member = |folder: &str, ours: &[&str]| Member {
            folder: folder.to_owned(),
            ours: ours.iter().map(|name| (*name).to_owned()).collect(),
            external: Vec::new(),
        };
        [
            ("ids", member("crates/protocol/ids", &[])),
            ("wire", member("crates/protocol/wire", &["ids"])),
            ("hub", member("crates/cloud/hub", &["ids", "wire"])),
        ]
        .map(|(name, member)| (name.to_owned(), member))
        .into()
    }

    #[test]
    fn an_arrow_that_follows_from_others_is_left_out() {
        let wanted = "cloud     hub          ─► wire\n\
                      protocol  wire         ─► ids\n          ids\n";
        assert_eq!(drawing(&house()), wanted);
    }

    #[test]
    fn the_drawing_is_put_between_its_marks_and_nothing_else_changes() {
        let document = format!("one\n{BEGIN}\nold\n{END}\ntwo\n");
        let made = in_document(&document, &house()).unwrap();
        assert!(made.starts_with("one\n") && made.ends_with("two\n") && made.contains("─► wire"));
        assert_eq!(in_document(&made, &house()).unwrap(), made);
        assert_eq!(in_document("without marks", &house()), None);
    }
}
