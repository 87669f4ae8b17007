//! The subject of a certificate: `common_name`, `subject`.

use std::collections::BTreeMap;

use crate::config::issuance::Subject;
use crate::config::reader::{At, Section};

/// `common_name`, or `subject` with several attributes.
pub(super) fn subject(section: &Section<'_, '_>) -> Option<Subject> {
    let common_name = section.text("common_name");
    let table = section.section("subject");
    if let (Some(at), Some(_)) = (&common_name, &table) {
        let message = format!(
            "{}: subject says it already; remove one, or write CN into subject",
            section.name("common_name")
        );
        section.fault(at.line, message);
    }
    if let Some(table) = table {
        let mut attributes = BTreeMap::new();
        for (name, at) in table.texts() {
            let folded = name.to_uppercase();
            if let Some(problem) = attribute_problem(&folded, &at.value) {
                table.fault(at.line, format!("{}: {problem}", table.name(&name)));
            } else if attributes.insert(folded, at.value).is_some() {
                table.fault(at.line, format!("{} is there twice", table.name(&name)));
            }
        }
        return (!attributes.is_empty()).then_some(Subject::Name(attributes));
    }
    let At { value, line } = common_name?;
    if let Some(problem) = attribute_problem("CN", &value) {
        section.fault(line, format!("{}: {problem}", section.name("common_name")));
        return None;
    }
    Some(Subject::CommonName(value))
}

/// The attribute types of a subject that can be written, as OpenSSL abbreviates them.
const ATTRIBUTES: [&str; 8] = ["C", "ST", "L", "O", "OU", "CN", "SERIALNUMBER", "DC"];

/// What is wrong with an attribute of a subject. `name` is in upper case.
fn attribute_problem(name: &str, value: &str) -> Option<String> {
    let length = value.chars().count();
    if !ATTRIBUTES.contains(&name) {
        let known = ATTRIBUTES.join(", ");
        return Some(format!(
            "it is not an attribute of a subject; those are {known}"
        ));
    }
    if value.chars().any(char::is_control) {
        return Some("it has control characters".to_owned());
    }
    match (name, length) {
        (_, 0) => Some("it is empty".to_owned()),
        ("C", 2) if value.chars().all(|c| c.is_ascii_uppercase()) => None,
        ("C", _) => Some(format!(
            "{value:?} is not a country; write two capital letters"
        )),
        ("ST" | "L" | "DC", 129..) => {
            Some(format!("it has {length} characters, and 128 are allowed"))
        }
        ("O" | "OU" | "CN" | "SERIALNUMBER", 65..) => Some(format!(
            "it has {length} characters, and X.509 allows 64; choose a shorter one"
        )),
        _ => None,
    }
}
